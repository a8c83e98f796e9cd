"""POST /cycles/{id}/rerun and /cycles/rerun."""

import uuid
from typing import Any

import pytest

from governance.models import AuditTrailEntry, OperationRun
from orbit.models import CycleRun, DispatchJob
from tests.support.callers import api, create_user, problem
from tests.support.dead_letters import create_dead_letters, run_batches
from tests.support.pipeline import configure_endpoints, configure_profiles, run_cycle, start_cycle
from tests.support.receiver import OK, Receiver, http


@pytest.fixture
def failed(committed: str, settings: Any) -> CycleRun:
    """A cycle of namespace ``a`` whose three deliveries were given up."""
    settings.ORBIT_MAX_DISPATCH_RETRIES = 0
    with Receiver(http("410 Gone")) as receiver:
        configure_endpoints(settings, **{"default-endpoint": receiver.url})
        configure_profiles()
        return run_cycle(start_cycle())


def test_a_dry_run_says_what_would_be_done_and_does_nothing(failed: CycleRun) -> None:
    answer = api(create_user()).post(f"/cycles/{failed.pk}/rerun", {"dry_run": True})
    plan = answer.json()
    assert answer.status_code == 200
    assert [
        (tier["tier"], tier["action"], len(tier["output_sha256"])) for tier in plan["tiers"]
    ] == [(n, "take_over", 64) for n in (1, 2, 3)]
    assert [(delivery["action"], delivery["endpoint_now"]) for delivery in plan["deliveries"]] == [
        ("send", "same")
    ] * 3
    assert {delivery["delivery_id"] for delivery in plan["deliveries"]} == {
        str(job.delivery_id) for job in DispatchJob.objects.all()
    }
    assert (len(plan["dead_letters"]), plan["stopped"], plan["run_profile_revision"]) == (
        3,
        None,
        1,
    )
    assert CycleRun.objects.count() == 1
    assert not AuditTrailEntry.objects.filter(action="cycle.rerun").exists()


def test_a_rerun_is_a_new_cycle_that_names_the_old_one(failed: CycleRun, settings: Any) -> None:
    client = api(create_user())
    with Receiver(OK) as receiver:
        configure_endpoints(settings, **{"default-endpoint": receiver.url})
        answer = client.post(f"/cycles/{failed.pk}/rerun", {"reason": "mended"})
        assert answer.status_code == 202
        new = answer.json()["cycle_run_id"]
        problem(client.post(f"/cycles/{failed.pk}/rerun", {"reason": "again"}), 409, "cycle_active")
        assert run_cycle(uuid.UUID(new)).status == "success"
    body, old = client.get(f"/cycles/{new}").json(), client.get(f"/cycles/{failed.pk}").json()
    assert (body["rerun_of"], body["reruns"], old["rerun_of"], old["reruns"]) == (
        str(failed.pk),
        [],
        None,
        [new],
    )
    assert (body["trigger"], body["triggered_by"], body["input"]) == ("rest", "ann", old["input"])
    assert (
        body["verdict"] == f"Success: 3 tiers; 3 deliveries; runs {failed.pk} again, "
        "from which 3 tiers and 0 deliveries are taken over."
    )
    assert (
        AuditTrailEntry.objects.filter(
            action="cycle.rerun", request_id=answer.headers["X-Request-ID"]
        ).count()
        == 1
    )
    assert client.get("/cycles").json()["results"][0]["rerun_of"] == str(failed.pk)


def test_refusals_are_problems(failed: CycleRun) -> None:
    client = api(create_user())
    problem(client.post(f"/cycles/{uuid.uuid4()}/rerun", {"reason": "x"}), 404, "unknown_cycle")
    refusal = problem(
        client.post(f"/cycles/{failed.pk}/rerun", {"dry_run": False}), 422, "invalid_body"
    )
    assert (
        refusal["errors"]
        == problem(client.post(f"/cycles/{failed.pk}/cancel", {}), 422, "invalid_body")["errors"]
    )
    problem(client.post(f"/cycles/{failed.pk}/rerun", {"reason": " "}), 422, "invalid_body")
    problem(
        client.post(f"/cycles/{failed.pk}/rerun", {"reason": "x", "dry_run": "yes"}),
        422,
        "invalid_body",
    )
    problem(
        api(create_user("bea", "Operator", "b")).post(
            f"/cycles/{failed.pk}/rerun", {"reason": "x"}
        ),
        404,
        "unknown_cycle",
    )
    problem(
        api(create_user("vic", "Viewer")).post(f"/cycles/{failed.pk}/rerun", {"reason": "x"}),
        403,
        "forbidden",
    )
    active = client.post("/cycles/trigger", {"run_profile_id": "r1"}).json()["cycle_run_id"]
    problem(client.post(f"/cycles/{active}/rerun", {"reason": "x"}), 409, "not_finished")
    problem(client.post(f"/cycles/{failed.pk}/rerun", {"reason": "x"}), 409, "cycle_active")
    assert (
        client.post(f"/cycles/{failed.pk}/rerun", {"reason": "x", "dry_run": True}).json()[
            "stopped"
        ]["code"]
        == "cycle_active"
    )


@pytest.mark.usefixtures("committed")
def test_many_cycles_run_again_as_an_operation_run(settings: Any) -> None:
    configure_endpoints(settings, **{"default-endpoint": "http://127.0.0.1:9/x"})
    first, second = (
        create_dead_letters(1, namespace="a")[0],
        create_dead_letters(1, namespace="b")[0],
    )
    client = api(create_user())
    dry = client.post(
        "/cycles/rerun", {"reason": "x", "filter": {"status": "failed"}, "dry_run": True}
    )
    assert (dry.status_code, dry.json()) == (
        200,
        {"matched": 2, "cycle_run_ids": [str(first), str(second)]},
    )
    assert not OperationRun.objects.exists()
    answer = client.post("/cycles/rerun", {"reason": "x", "ids": [str(second)], "rate": 5})
    assert (answer.status_code, answer.json()["matched"]) == (202, 1)
    run = run_batches(uuid.UUID(answer.json()["operation_run_id"]))
    assert (run.outcome, run.context["trigger"]) == ("succeeded", "rest")
    answer = client.post(
        "/cycles/rerun",
        {"reason": "x", "filter": {"created_from": "2020-01-01T00:00:00Z", "namespace": "a"}},
    )
    assert (
        run_batches(uuid.UUID(answer.json()["operation_run_id"])).summary_counts["succeeded"] == 1
    )


@pytest.mark.django_db
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"reason": "x"},
        {"reason": "x", "ids": []},
        {"reason": "x", "ids": ["no"]},
        {"reason": "x", "ids": ["0" * 32]},
        {"reason": "x", "ids": [str(uuid.UUID(int=0))], "filter": {}},
        {"reason": "x", "filter": {"created_from": "yesterday"}},
        {"reason": "x", "filter": {"status": "running"}},
        {"reason": "x", "filter": {"status": "failed", "more": 1}},
        {"reason": "x", "filter": {}, "rate": 0},
    ],
)
def test_a_body_that_names_no_cycles_is_refused(body: dict[str, Any]) -> None:
    problem(api(create_user()).post("/cycles/rerun", body), 422, "invalid_body")
    assert not OperationRun.objects.exists()

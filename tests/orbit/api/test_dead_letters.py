"""``/dead-letters``: list, groups, requeue and dismiss, one or many."""

import uuid
from typing import Any

import pytest

from governance.models import AuditTrailEntry, OperationRun, OperationRunItem
from orbit.models import CycleRun, DeadLetterDispatch, DispatchJob
from tests.support.callers import api, create_user, problem
from tests.support.dead_letters import create_dead_letters, run_batches
from tests.support.pipeline import configure_endpoints, configure_profiles, run_cycle, start_cycle
from tests.support.receiver import OK, Receiver, http


@pytest.fixture
def dead(committed: str, settings: Any) -> CycleRun:
    """A cycle of namespace ``a`` whose three deliveries were given up."""
    with Receiver(http("410 Gone")) as receiver:
        configure_endpoints(settings, **{"default-endpoint": receiver.url})
        configure_profiles()
        return run_cycle(start_cycle())


def test_dead_letters_are_listed_filtered_and_read(dead: CycleRun) -> None:
    client = api(create_user())
    page = client.get("/dead-letters").json()
    letters = [
        (row["namespace"], row["endpoint_key"], row["status"], row["status_code"])
        for row in page["results"]
    ]
    assert letters == [("a", "default-endpoint", "open", 410)] * 3
    assert client.get(f"/dead-letters/{page['results'][0]['id']}").json() == page["results"][0]
    assert (
        len(
            client.get(
                f"/dead-letters?cycle_run_id={dead.pk}&status=open&endpoint_key=default-endpoint"
            ).json()["results"]
        )
        == 3
    )
    assert client.get("/dead-letters?status=requeued").json()["results"] == []
    problem(client.get("/dead-letters?cycle_run_id=x"), 400, "invalid_parameter")
    problem(client.get(f"/dead-letters/{uuid.uuid4()}"), 404, "unknown_dead_letter")


def test_a_confined_user_neither_sees_nor_requeues_letters_of_other_namespaces(
    dead: CycleRun,
) -> None:
    letter = DeadLetterDispatch.objects.first()
    assert letter is not None
    client = api(create_user("bea", "Operator", "b"))
    assert client.get("/dead-letters").json()["results"] == []
    problem(client.get(f"/dead-letters/{letter.pk}"), 404, "unknown_dead_letter")
    for action in ("requeue", "dismiss"):
        problem(
            client.post(f"/dead-letters/{letter.pk}/{action}", {"reason": "try"}),
            404,
            "unknown_dead_letter",
        )
    assert DispatchJob.objects.count() == 3
    assert not DeadLetterDispatch.objects.exclude(status="open").exists()


def test_a_requeue_makes_one_job_that_is_delivered_and_a_second_one_is_refused(
    dead: CycleRun, settings: Any
) -> None:
    letter = DeadLetterDispatch.objects.first()
    assert letter is not None
    client = api(create_user())
    with Receiver(OK) as good:
        configure_endpoints(settings, **{"default-endpoint": good.url})
        answer = client.post(
            f"/dead-letters/{letter.pk}/requeue",
            {"reason": "Aurora is back", "endpoint": "current"},
        )
        assert answer.status_code == 201
        problem(
            client.post(f"/dead-letters/{letter.pk}/requeue", {"reason": "again"}),
            409,
            "already_requeued",
        )
        job = DispatchJob.objects.get(pk=answer.json()["dispatch_job_id"])
        assert job.delivery_id == letter.job.delivery_id
        run_cycle(dead.pk)
        assert [received.headers["idempotency-key"] for received in good.requests] == [
            str(job.delivery_id)
        ]
    assert client.get(f"/dead-letters/{letter.pk}").json()["requeued_job_id"] == str(job.pk)
    cycle = client.get(f"/cycles/{dead.pk}").json()
    assert cycle["deliveries"] == {"total": 3, "delivered": 1, "dead": 2, "cancelled": 0, "open": 0}
    assert "1 of 3 deliveries done" in cycle["verdict"]
    assert AuditTrailEntry.objects.get(action="dead_letter.requeued").reason == "Aurora is back"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, ""),
        ({"reason": "x", "endpoint": "other"}, "/endpoint"),
        ({"reason": "x", "new_key": 1}, "/new_key"),
        ({"reason": "x", "ids": []}, "/ids"),
    ],
)
def test_a_wrong_body_makes_no_job(dead: CycleRun, body: dict[str, Any], pointer: str) -> None:
    letter = DeadLetterDispatch.objects.first()
    assert letter is not None
    refusal = problem(
        api(create_user()).post(f"/dead-letters/{letter.pk}/requeue", body), 422, "invalid_body"
    )
    assert [error["pointer"] for error in refusal["errors"]] == [pointer]
    assert DispatchJob.objects.count() == 3


def test_a_letter_is_dismissed_once_and_stays(dead: CycleRun) -> None:
    client = api(create_user())
    dismissed, requeued = (
        row["id"] for row in client.get("/dead-letters?limit=2").json()["results"]
    )
    answer = client.post(f"/dead-letters/{dismissed}/dismiss", {"reason": "too old"})
    assert (answer.status_code, answer.json()["status"], answer.json()["resolved_reason"]) == (
        200,
        "dismissed",
        "too old",
    )
    problem(
        client.post(f"/dead-letters/{dismissed}/dismiss", {"reason": "again"}),
        409,
        "already_resolved",
    )
    problem(
        client.post(f"/dead-letters/{dismissed}/requeue", {"reason": "again"}),
        409,
        "already_resolved",
    )
    client.post(f"/dead-letters/{requeued}/requeue", {"reason": "it is back"})
    problem(
        client.post(f"/dead-letters/{requeued}/dismiss", {"reason": "no"}), 409, "already_requeued"
    )
    problem(
        client.post(f"/dead-letters/{uuid.uuid4()}/dismiss", {"reason": "no"}),
        404,
        "unknown_dead_letter",
    )
    entry = AuditTrailEntry.objects.get(action="dead_letter.dismissed")
    assert (entry.object_id, entry.reason, entry.namespace) == (dismissed, "too old", "a")
    events = [row["event"] for row in client.get(f"/cycles/{dead.pk}").json()["records"]]
    assert (events.count("dead_letter_dismissed"), events.count("dead_letter_requeued")) == (1, 1)


def test_groups_are_listed_in_pages_and_filter_the_list(dead: CycleRun) -> None:
    create_dead_letters(2, error="order {i} unknown")
    client = api(create_user("vic", "Viewer"), "read")
    first = client.get("/dead-letters/groups?limit=1").json()
    assert [(row["error"], row["status_code"], row["count"]) for row in first["results"]] == [
        ("HTTP 410", 410, 3)
    ]
    second = client.get(first["next"].replace("http://testserver", "")).json()
    [group] = second["results"]
    assert (group["error"], group["count"], second["next"]) == ("order # unknown", 2, None)
    assert client.get(second["previous"].replace("http://testserver", "")).json() == first
    members = client.get(f"/dead-letters?group={group['group']}").json()["results"]
    assert {row["last_error"] for row in members} == {"order 1 unknown", "order 2 unknown"}
    assert group["example_id"] == members[0]["id"]
    assert api(create_user("bea", "Viewer", "b"), "read").get("/dead-letters/groups").json() == {
        "results": [],
        "next": None,
        "previous": None,
    }


def test_an_open_letter_shows_the_drift_of_its_endpoint(dead: CycleRun, settings: Any) -> None:
    client = api(create_user())
    letter = client.get("/dead-letters").json()["results"][0]
    assert letter["endpoint_now"] == "same"
    settings.ORBIT_DISPATCH_ENDPOINTS = settings.ORBIT_DISPATCH_ENDPOINTS.replace(
        "token-of", "newer-token-of"
    )
    changed = client.get(f"/dead-letters/{letter['id']}")
    assert changed.json()["endpoint_now"] == "changed"
    assert "token-of" not in changed.content.decode()
    configure_endpoints(settings, other="http://127.0.0.1:9/x")
    assert client.get(f"/dead-letters/{letter['id']}").json()["endpoint_now"] == "gone"
    client.post(f"/dead-letters/{letter['id']}/dismiss", {"reason": "x"})
    assert client.get(f"/dead-letters/{letter['id']}").json()["endpoint_now"] is None


@pytest.mark.parametrize("action", ["requeue", "dismiss"])
def test_a_run_takes_letters_by_ids_or_filter(dead: CycleRun, action: str) -> None:
    client = api(create_user())
    ids = [row["id"] for row in client.get("/dead-letters").json()["results"]]
    answer = client.post(
        f"/dead-letters/{action}",
        {"reason": "it is back", "filter": {"namespace": "a", "endpoint_key": "default-endpoint"}},
    )
    run_id = answer.json()["operation_run_id"]
    assert (answer.status_code, answer.json()) == (202, {"operation_run_id": run_id, "matched": 3})
    second_answer = client.post(
        f"/dead-letters/{action}",
        {"reason": "again", "filter": {"endpoint_key": "default-endpoint", "namespace": "a"}},
    )
    assert second_answer.json() == answer.json()
    named = client.post(
        f"/dead-letters/{action}",
        {"reason": "these", "ids": [*ids[:2], ids[0].upper(), str(uuid.uuid4())], "rate": 1},
    )
    assert (named.status_code, named.json()["matched"]) == (202, 3)
    run_batches(uuid.UUID(run_id))
    run = client.get(f"/operations/{run_id}").json()
    assert (run["namespace"], run["progress"]["processed"]) == (
        "a",
        1 if action == "requeue" else 3,
    )
    assert client.get(f"/operations/{run_id}/items?outcome=succeeded").json()["results"][0][
        "object_id"
    ] == min(ids)


def test_a_filter_that_matches_nothing_is_accepted_and_has_ended(dead: CycleRun) -> None:
    client = api(create_user("bea", "Operator", "b"))
    answer = client.post("/dead-letters/requeue", {"reason": "x", "filter": {}})
    assert (answer.status_code, answer.json()["matched"]) == (202, 0)
    run = client.get(f"/operations/{answer.json()['operation_run_id']}").json()
    assert (run["status"], run["outcome"], run["progress"]["note"]) == (
        "completed",
        "skipped",
        "nothing matches",
    )
    for namespace in ("a", "nowhere"):
        problem(
            client.post(
                "/dead-letters/requeue", {"reason": "x", "filter": {"namespace": namespace}}
            ),
            404,
            "unknown_namespace",
        )


def test_a_run_treats_letters_of_other_namespaces_as_missing(dead: CycleRun) -> None:
    hidden = DeadLetterDispatch.objects.first()
    assert hidden is not None
    client = api(create_user("bea", "Operator", "b"))
    ids = [str(hidden.pk), str(uuid.uuid4())]
    run_id = client.post("/dead-letters/requeue", {"reason": "x", "ids": ids}).json()[
        "operation_run_id"
    ]
    assert run_batches(uuid.UUID(run_id)).outcome == "failed"
    assert set(OperationRunItem.objects.values_list("outcome", "detail")) == {
        ("failed", "there is no such dead letter")
    }
    assert DispatchJob.objects.count() == 3


ONE = str(uuid.UUID(int=1))


@pytest.mark.django_db
@pytest.mark.parametrize("action", ["requeue", "dismiss"])
@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, ""),
        ({"ids": [ONE], "filter": {}}, "/filter"),
        ({"ids": []}, "/ids"),
        ({"reason": None, "filter": {}}, "/reason"),
        ({"ids": ["x"]}, "/ids/0"),
        ({"ids": [ONE] * 1001}, "/ids"),
        ({"filter": {"status": "open"}}, "/filter/status"),
        ({"filter": {"created_after": "yesterday"}}, "/filter/created_after"),
        ({"filter": {"cycle_run_id": "x"}}, "/filter/cycle_run_id"),
        ({"filter": {}, "rate": 0}, "/rate"),
        ({"filter": {}, "rate": 501}, "/rate"),
        ({"filter": {}, "rate": 1.5}, "/rate"),
        ({"filter": {"group": ""}}, "/filter/group"),
        ({"filter": []}, "/filter"),
        ({"reason": " ", "filter": {}}, "/reason"),
    ],
)
def test_a_wrong_body_starts_no_run(action: str, body: dict[str, Any], pointer: str) -> None:
    refusal = problem(
        api(create_user()).post(f"/dead-letters/{action}", {"reason": "x", **body}),
        422,
        "invalid_body",
    )
    assert [error["pointer"] for error in refusal["errors"]] == [pointer]
    assert not OperationRun.objects.exists()


@pytest.mark.django_db
def test_a_dismissal_takes_neither_endpoint_nor_key() -> None:
    problem(
        api(create_user()).post(
            "/dead-letters/dismiss", {"reason": "x", "filter": {}, "new_key": True}
        ),
        422,
        "invalid_body",
    )

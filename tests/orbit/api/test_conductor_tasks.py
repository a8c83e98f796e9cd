"""``/conductor/tasks``: claim, work under a lease, retry, cancel."""

from typing import Any
from uuid import uuid4

import pytest

from governance.models import AuditTrailEntry
from orbit.models import ConductorRun, ConductorTask
from telemetry.models import OutboxEvent
from tests.support.callers import api, create_user, problem
from tests.support.conductor_tasks import create_parent, create_run, create_tasks, next_id

pytestmark = pytest.mark.django_db


def claim(client: Any, **body: Any) -> Any:
    answer = client.post("/conductor/tasks/claim", {"worker": "w1", **body})
    assert answer.status_code == 200, answer.content
    return answer.json()["tasks"]


def send(client: Any, task_id: str, verb: str, **body: Any) -> Any:
    return client.post(f"/conductor/tasks/{task_id}/{verb}", body)


def test_a_task_is_claimed_kept_and_completed() -> None:
    client = api(create_user())
    create_tasks(create_run(), 1, input={"x": [1, None]})
    (task,) = claim(client, limit=10, lease_seconds=30)
    assert task["input"] == {"x": [1, None]}
    assert task["lease_expires_at"].endswith("Z")
    token = {"lease_token": task["lease_token"]}
    renewed = send(client, task["id"], "heartbeat", **token, lease_seconds=60).json()
    assert renewed["lease_expires_at"] > task["lease_expires_at"]
    done = send(client, task["id"].lower(), "complete", **token, output={"y": 2})
    assert (done.status_code, done.json()) == (200, {"id": task["id"], "state": "SUCCEEDED"})
    problem(send(client, task["id"], "complete", **token), 409, "invalid_transition")
    problem(send(client, task["id"], "heartbeat", **token), 409, "invalid_transition")
    assert claim(client) == []


def test_a_wrong_token_and_one_that_was_released_are_refused() -> None:
    client = api(create_user())
    create_tasks(create_run(), 1)
    (task,) = claim(client)
    for verb, body in {
        "heartbeat": {},
        "complete": {},
        "release": {},
        "fail": {"error": "x"},
    }.items():
        answer = send(client, task["id"], verb, lease_token=str(uuid4()), **body)
        problem(answer, 409, "lease_lost")
    token = {"lease_token": task["lease_token"]}
    assert send(client, task["id"], "release", **token).json()["state"] == "RUNNING"
    problem(send(client, task["id"], "complete", **token), 409, "lease_lost")
    assert claim(client)[0]["attempt"] == 2


def test_unknown_and_hidden_tasks_are_missing() -> None:
    hidden = create_tasks(create_run("b"), 1)[0].pk
    client = api(create_user("bea", "Operator", "a"))
    token = {"lease_token": str(uuid4())}
    bodies = {"heartbeat": token, "complete": token, "release": token, "retry": {}, "cancel": {}}
    bodies["fail"] = {**token, "error": "x"}
    for verb, body in bodies.items():
        for task_id in (hidden, next_id(), "x", "8" + "0" * 25, "a" * 500):
            problem(send(client, task_id, verb, **body), 404, "unknown_task")
    assert claim(client, limit=9) == []
    problem(
        client.post("/conductor/tasks/claim", {"worker": "w", "run_id": next_id()}),
        404,
        "unknown_conductor_run",
    )


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"worker": ""},
        {"worker": "w\u202e"},
        {"worker": "w", "limit": 0},
        {"worker": "w", "limit": 1001},
        {"worker": "w", "limit": 1.5},
        {"worker": "w", "lease_seconds": 0},
        {"worker": "w", "lease_seconds": 3601},
        {"worker": "w", "wait_seconds": 21},
        {"worker": "w", "run_id": "x"},
        {"worker": "w", "more": 1},
    ],
)
def test_a_bad_claim_is_refused(body: dict[str, Any]) -> None:
    problem(api(create_user()).post("/conductor/tasks/claim", body), 422, "invalid_body")


def test_bad_outcomes_are_refused_and_the_lease_stays() -> None:
    client = api(create_user())
    create_tasks(create_run(), 1)
    (task,) = claim(client)
    path = f"/conductor/tasks/{task['id']}/complete"
    text = f'{{"lease_token": "{task["lease_token"]}", "output": %s}}'
    for output in (
        '"\\u0000"',
        '"\\ud800"',
        "NaN",
        "1e999",
        "[" * 100 + "]" * 100,
        '{"a":1,"a":2}',
    ):
        answer = client.post(path, (text % output).encode())
        assert answer.status_code in {400, 422}, output
    problem(client.post(path, (text % f'"{"x" * 1024 * 1024}"').encode()), 413, "body_too_large")
    problem(client.post(path, {"lease_token": "x"}), 422, "invalid_body")
    problem(client.post(path, {}), 422, "invalid_body")
    large = "x" * 1_000_000
    assert client.post(path, (text % f'"{large}"').encode()).status_code == 200
    assert ConductorTask.objects.get().output == large


def test_a_call_repeated_after_a_lost_answer_is_refused_and_told_from_others() -> None:
    client = api(create_user())
    create_tasks(create_run(), 2, max_attempts=2)
    done, failed = claim(client, limit=2)
    tokens = [{"lease_token": task["lease_token"]} for task in (done, failed)]
    send(client, done["id"], "complete", **tokens[0], output=1)
    send(client, failed["id"], "fail", **tokens[1], error="x")
    for verb, task, body in (
        ("complete", done, {**tokens[0], "output": 1}),
        ("fail", failed, {**tokens[1], "error": "x"}),
    ):
        again = send(client, task["id"], verb, **body)
        assert problem(again, 409, "invalid_transition")["ended_by_this_token"] is True
        other = send(client, task["id"], verb, **{**body, "lease_token": str(uuid4())})
        assert "ended_by_this_token" not in problem(other, 409, "invalid_transition")
    batch = [
        {"id": task["id"], **token} for task, token in zip((done, failed), tokens, strict=True)
    ]
    batch[1]["lease_token"] = str(uuid4())
    results = client.post("/conductor/tasks/complete", {"tasks": batch}).json()["results"]
    assert [result.get("ended_by_this_token") for result in results] == [True, None]
    # The next attempt has its own token.
    (again,) = claim(client)
    problem(send(client, failed["id"], "fail", **tokens[1], error="x"), 409, "lease_lost")
    send(client, failed["id"], "cancel")
    refused = send(client, failed["id"], "complete", lease_token=again["lease_token"])
    assert "ended_by_this_token" not in problem(refused, 409, "invalid_transition")


def test_a_batch_completes_up_to_a_thousand_with_a_result_for_each() -> None:
    client = api(create_user())
    create_tasks(create_run(), 3)
    tasks = claim(client, limit=3)
    batch = [
        {"id": t["id"], "lease_token": t["lease_token"], "output": n} for n, t in enumerate(tasks)
    ]
    batch[1]["lease_token"] = str(uuid4())
    batch.append({"id": next_id(), "lease_token": str(uuid4()), "output": 0})
    kept = client.post(
        "/conductor/tasks/heartbeat",
        {"tasks": [{"id": b["id"], "lease_token": b["lease_token"]} for b in batch]},
    ).json()["results"]
    assert ["lease_expires_at" in result for result in kept] == [True, False, True, False]
    results = client.post("/conductor/tasks/complete", {"tasks": batch}).json()["results"]
    assert [result["id"] for result in results] == [task["id"] for task in batch]
    assert [result.get("code", result.get("state")) for result in results] == [
        "SUCCEEDED",
        "lease_lost",
        "SUCCEEDED",
        "unknown_task",
    ]
    twice = client.post("/conductor/tasks/complete", {"tasks": batch[:1] * 2})
    problem(twice, 422, "invalid_body")
    problem(client.post("/conductor/tasks/complete", {"tasks": []}), 422, "invalid_body")
    problem(
        client.post("/conductor/tasks/complete", {"tasks": batch[:1] * 1001}), 422, "invalid_body"
    )


def test_a_failed_task_is_retried_through_claim_and_what_is_above_it_runs_again() -> None:
    client = api(create_user())
    run = create_run(
        state="FAILED", started_at="2026-01-31T06:00:00Z", finished_at="2026-01-31T06:00:01Z"
    )
    parent = create_parent(run, 2, state="FAILED")
    failed, done = create_tasks(run, 2, parent=parent, state="FAILED", ready=False, attempt=1)
    ConductorTask.objects.filter(pk=done.pk).update(state="CANCELLED")
    assert claim(client) == []
    answer = send(client, failed.pk, "retry", reason="the disk is back")
    assert answer.json() == {"id": failed.pk, "state": "FAILED"}
    parent.refresh_from_db()
    run.refresh_from_db()
    assert (parent.state, run.state, run.finished_at) == ("RUNNING", "RUNNING", None)
    problem(send(client, failed.pk, "retry"), 409, "invalid_transition")
    problem(send(client, done.pk, "retry"), 409, "invalid_transition")
    entry = AuditTrailEntry.objects.get(action="conductor_task.retried")
    assert (entry.object_id, entry.reason, entry.namespace) == (
        failed.pk,
        "the disk is back",
        "default",
    )
    (task,) = claim(client)
    assert (task["id"], task["attempt"]) == (failed.pk, 2)


def test_a_retry_of_a_failed_parent_retries_what_failed_under_it() -> None:
    client = api(create_user())
    run = create_run()
    top = create_parent(run, 2, state="FAILED")
    inner = create_parent(run, 1, parent=top, state="FAILED")
    create_tasks(run, 1, name="deep", parent=inner, state="FAILED", ready=False, attempt=1)
    create_tasks(run, 1, name="flat", parent=top, state="FAILED", ready=False, attempt=1)
    create_tasks(run, 1, name="fine", parent=top, state="SUCCEEDED", ready=False)
    assert send(client, top.pk, "retry").json()["state"] == "RUNNING"
    assert ConductorTask.objects.get(pk=inner.pk).state == "RUNNING"
    assert {task["name"] for task in claim(client, limit=9)} == {"deep", "flat"}
    childless = create_parent(run, 1, state="FAILED")
    problem(send(client, childless.pk, "retry"), 409, "invalid_transition")
    assert ConductorTask.objects.get(pk=childless.pk).state == "FAILED"


@pytest.mark.parametrize("above", ["SUCCEEDED", "CANCELLED"])
def test_a_task_under_something_final_is_not_retried(above: str) -> None:
    run = create_run()
    parent = create_parent(run, 1, state=above)
    (task,) = create_tasks(run, 1, parent=parent, state="FAILED", ready=False, attempt=1)
    problem(send(api(create_user()), task.pk, "retry"), 409, "invalid_transition")
    assert not AuditTrailEntry.objects.filter(action="conductor_task.retried").exists()


def test_a_cancelled_task_is_lost_to_its_worker_and_a_parent_begins_to_cancel_its_children() -> (
    None
):
    client = api(create_user())
    run = create_run()
    create_tasks(run, 1)
    (task,) = claim(client)
    assert send(client, task["id"], "cancel").json()["state"] == "CANCELLED"
    token = {"lease_token": task["lease_token"]}
    problem(send(client, task["id"], "complete", **token), 409, "invalid_transition")
    problem(send(client, task["id"], "cancel"), 409, "invalid_transition")
    parent = create_parent(run, 1)
    create_tasks(run, 1, parent=parent)
    send(client, parent.pk, "cancel", reason="not needed")
    parent.conductorparent.refresh_from_db()
    assert parent.conductorparent.is_cancelling
    assert claim(client) == []
    decisions = OutboxEvent.objects.filter(name="decision", metadata={"status": "cancelled"})
    assert {task["id"], parent.pk} <= {event.task_id for event in decisions}
    assert AuditTrailEntry.objects.filter(action="conductor_task.cancelled").count() == 2
    assert ConductorRun.objects.get(pk=run.pk).state == "RUNNING"


def test_a_run_is_cancelled_by_its_id_in_small_letters_too() -> None:
    client = api(create_user())
    run = create_run(roots=0)
    path = f"/conductor/runs/{run.pk.lower()}/cancel"
    assert client.post(path, {"reason": "wrong data"}).json()["id"] == run.pk


def test_a_viewer_may_not_claim() -> None:
    client = api(create_user("vic", "Viewer"))
    problem(client.post("/conductor/tasks/claim", {"worker": "w"}), 403, "forbidden")


def test_a_claim_that_may_wait_says_so_to_the_web_server_alone() -> None:
    client = api(create_user())
    body = {"worker": "w", "wait_seconds": 5}
    assert client.post("/conductor/tasks/claim", body)["X-Orbit-Hold"].startswith("5 ")
    create_tasks(create_run(), 1)
    assert "X-Orbit-Hold" not in client.post("/conductor/tasks/claim", body)


@pytest.mark.parametrize(
    ("stop", "go"),
    [
        ("/governance/namespaces/a/halt", "/governance/namespaces/a/resume"),
        ("/governance/namespaces/a/drain", "/governance/namespaces/a/resume"),
        ("/governance/pause", "/governance/unpause"),
    ],
)
def test_a_claim_of_what_is_stopped_is_empty_or_waits_and_a_worker_may_finish(
    stop: str, go: str
) -> None:
    client = api(create_user())
    run = create_run("a")
    create_tasks(run, 3)
    first, second = claim(client, limit=2)
    assert client.post(stop, {"reason": "a flood"}).status_code == 200
    ConductorTask.objects.filter(pk=second["id"]).update(lease_expires_at="2026-01-31T06:00:00Z")
    for of_run in ({}, {"run_id": run.pk}):
        assert claim(client, limit=9, **of_run) == []
        waits = client.post("/conductor/tasks/claim", {"worker": "w", "wait_seconds": 5, **of_run})
        assert (waits.json(), waits["X-Orbit-Hold"][:2]) == ({"tasks": []}, "5 ")
    token = {"lease_token": first["lease_token"]}
    assert send(client, first["id"], "heartbeat", **token).status_code == 200
    assert send(client, first["id"], "complete", **token).json()["state"] == "SUCCEEDED"
    assert client.post(go, {"reason": "it is over"}).status_code == 200
    assert [(task["name"], task["attempt"]) for task in claim(client, limit=9)] == [
        (second["name"], 2),
        ("t3", 1),
    ]


def test_a_claim_of_a_process_that_is_paused_is_empty_or_waits(settings: Any) -> None:
    client = api(create_user())
    create_tasks(create_run(), 1)
    settings.ORBIT_GLOBAL_PAUSE = True
    assert claim(client) == []
    waits = client.post("/conductor/tasks/claim", {"worker": "w", "wait_seconds": 5})
    assert waits["X-Orbit-Hold"].startswith("5 ")
    settings.ORBIT_GLOBAL_PAUSE = False
    assert len(claim(client)) == 1


def test_a_stop_of_one_namespace_leaves_the_claims_of_others_alone() -> None:
    client = api(create_user())
    create_tasks(create_run("a"), 1, priority=9)
    create_tasks(create_run("b"), 1, name="other")
    client.post("/governance/namespaces/a/halt", {"reason": "a flood"})
    assert [task["name"] for task in claim(client, limit=9)] == ["other"]

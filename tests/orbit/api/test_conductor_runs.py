"""``/conductor/runs``: create, list, read, cancel; and a run from its creation to its end."""

import json
from typing import Any

import pytest

from governance.kernel import ulid
from governance.models import AuditTrailEntry, NamespaceGrant
from governance.rest import pages
from orbit.conductor import aggregate, fanout
from orbit.models import ConductorRun, ConductorTask
from tests.support import conductor
from tests.support.callers import Api, api, create_user, problem

pytestmark = pytest.mark.django_db

RUNS, CLAIM = "/conductor/runs", "/conductor/tasks/claim"
NONE = {"PENDING": 0, "RUNNING": 0, "SUCCEEDED": 0, "FAILED": 0, "CANCELLED": 0}


@pytest.fixture
def client() -> Api:
    return api(create_user())


def create(client: Api, *tasks: dict[str, Any], **members: Any) -> Any:
    answer = client.post(RUNS, {"name": "night", "tasks": list(tasks), **members})
    assert answer.status_code == 201, answer.content
    return answer.json()


def claim(client: Api, **body: Any) -> Any:
    answer = client.post(CLAIM, {"worker": "w1", **body})
    assert answer.status_code == 200, answer.content
    return answer.json()["tasks"]


def send(client: Api, task: dict[str, Any], verb: str, **body: Any) -> Any:
    path = f"/conductor/tasks/{task['id']}/{verb}"
    return client.post(path, {"lease_token": task["lease_token"], **body})


def read(client: Api, run_id: str) -> Any:
    return client.get(f"{RUNS}/{run_id}").json()


def work() -> None:
    """Do what the cluster does by itself."""
    while fanout.run_fanout_once().did_something:
        pass
    aggregate.run_to_end()


def test_a_created_run_is_answered_and_read_in_its_shape(client: Api) -> None:
    created = create(
        client,
        {"name": "P", "input": {"fanout": 3}, "priority": 0, "failure_policy": "wait_all"},
        {"name": "t"},
    )
    assert created.keys() == {"id", "name", "namespace", "state", "tasks"}
    assert (created["state"], created["namespace"]) == ("PENDING", "default")
    assert [(task["name"], task["state"]) for task in created["tasks"]] == [
        ("P", "PENDING"),
        ("t", "PENDING"),
    ]
    for item in (created, *created["tasks"]):
        assert ulid.check(item["id"]) == item["id"]
    assert all(task.keys() == {"id", "name", "state"} for task in created["tasks"])
    shown = read(client, created["id"])
    assert {"id", "name", "state", "counts", "created_at", "finished_at"} <= shown.keys()
    assert (shown["name"], shown["state"], shown["finished_at"]) == ("night", "PENDING", None)
    assert shown["created_at"].endswith("Z")
    assert shown["counts"] == {**NONE, "PENDING": 2}
    assert read(client, created["id"].lower())["id"] == created["id"]


def test_a_run_goes_from_its_creation_to_its_end(client: Api) -> None:
    created = create(client, {"name": "P", "input": {"fanout": 3, "child": {"size": 64}}})
    assert claim(client) == []  # a parent's work is its children
    work()
    assert read(client, created["id"])["counts"] == {**NONE, "PENDING": 3, "RUNNING": 1}
    tasks = claim(client, limit=10, lease_seconds=30, run_id=created["id"])
    assert {"id", "name", "input", "lease_token", "lease_expires_at"} <= tasks[0].keys()
    assert [(task["name"], task["input"]) for task in tasks] == [
        (f"P#{number}", {"size": 64, "index": number}) for number in (1, 2, 3)
    ]
    for task in tasks:
        assert send(client, task, "complete", output={"ok": True}).json()["state"] == "SUCCEEDED"
    work()
    shown = read(client, created["id"])
    assert (shown["state"], shown["counts"]) == ("SUCCEEDED", {**NONE, "SUCCEEDED": 4})
    assert shown["finished_at"].endswith("Z")
    child = client.get(f"/conductor/tasks/{tasks[1]['id']}").json()
    assert (child["input"], child["output"]) == ({"size": 64, "index": 2}, {"ok": True})
    assert (child["state"], child["attempt"], child["parent_id"]) == (
        "SUCCEEDED",
        1,
        created["tasks"][0]["id"],
    )


@pytest.mark.parametrize("value", [-1, 1.5, "3", None, True, 10**12])
def test_a_bad_fan_out_fails_its_parent_with_a_clear_error_and_the_rest_goes_on(
    client: Api, value: Any
) -> None:
    created = create(client, conductor.parent(value, "bad"), conductor.parent(1, "good"))
    work()
    bad = client.get(f"/conductor/tasks/{created['tasks'][0]['id']}").json()
    assert bad["state"] == "FAILED"
    assert bad["error"].startswith("input.fanout must be a whole number from 1 to 10,000,000")
    (task,) = claim(client, limit=10)
    assert task["name"] == "good#1"
    send(client, task, "complete")
    work()
    shown = read(client, created["id"])
    assert (shown["state"], shown["counts"]) == ("FAILED", {**NONE, "SUCCEEDED": 2, "FAILED": 1})


TASK = {"name": "t"}


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"tasks": []}, "/tasks"),
        ({"tasks": None}, "/tasks"),
        ({"tasks": [TASK] * 1_001}, "/tasks"),
        ({"tasks": ["t"]}, "/tasks/0"),
        ({"tasks": [{}]}, "/tasks/0"),
        ({"name": ""}, "/name"),
        ({"name": "n" * 201}, "/name"),
        ({"name": "a\u202eb"}, "/name"),
        ({"colour": "red"}, "/colour"),
        ({"namespace": 1}, "/namespace"),
        *(
            ({"tasks": [TASK, {**TASK, name: value}]}, f"/tasks/1/{pointer or name}")
            for name, value, pointer in (
                ("name", "a#1", ""),
                ("name", "", ""),
                ("name", "n" * 201, ""),
                ("name", "a\x7f", ""),
                ("input", [], ""),
                ("input", {"fanout": 0}, "input/fanout"),
                ("input", {"fanout": 0.0}, "input/fanout"),
                ("input", {"fanout": 2, "child": {"fanout": 0}}, "input/child/fanout"),
                ("priority", 2**31, ""),
                ("priority", 0.5, ""),
                ("priority", True, ""),
                ("max_attempts", 0, ""),
                ("max_attempts", 101, ""),
                ("failure_policy", "sometimes", ""),
                ("failure_policy", "tolerate", ""),
                ("failure_policy", {"tolerate": -1}, ""),
                ("failure_policy", {"tolerate": 10**12}, ""),
                ("failure_policy", {"tolerate": "2"}, ""),
                ("failure_policy", None, ""),
                ("parent", 1, ""),
                ("parent", 2, ""),
                ("parent", -1, ""),
                ("parent", "t", ""),
                ("parent", True, ""),
                ("colour", "red", ""),
            )
        ),
    ],
)
def test_a_bad_run_is_refused_with_its_place_and_creates_nothing(
    client: Api, members: dict[str, Any], pointer: str
) -> None:
    answer = client.post(RUNS, {"name": "night", "tasks": [TASK], **members})
    refusal = problem(answer, 422, "invalid_body")
    assert [error["pointer"] for error in refusal["errors"]] == [pointer]
    assert not ConductorRun.objects.exists()
    assert not AuditTrailEntry.objects.filter(action="conductor_run.created").exists()


def test_a_circle_of_parents_is_refused_at_each_of_them(client: Api) -> None:
    tasks = [{"name": "a", "parent": 2}, {"name": "b", "parent": 0}, {"name": "c", "parent": 1}]
    refusal = problem(client.post(RUNS, {"name": "r", "tasks": tasks}), 422, "invalid_body")
    assert [error["pointer"] for error in refusal["errors"]] == [
        f"/tasks/{place}/parent" for place in range(3)
    ]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "malformed_json"),
        (b'{"name": "r", "name": "s", "tasks": [{"name": "t"}]}', 400, "malformed_json"),
        (b'{"name": "\\u0000", "tasks": [{"name": "t"}]}', 400, "malformed_json"),
        (b'{"name": "r", "tasks": [{"name": "t", "input": {"x": 1e999}}]}', 400, "malformed_json"),
        (b'{"name": "r", "tasks": [{"name": "t"}], "namespace": "no"}', 404, "unknown_namespace"),
        (b" " * 1_048_577, 413, "body_too_large"),
    ],
)
def test_a_body_that_cant_be_read_is_refused(
    client: Api, body: bytes, status: int, code: str
) -> None:
    problem(client.post(RUNS, body), status, code)
    assert not ConductorRun.objects.exists()


def test_integers_may_be_written_with_a_point(client: Api) -> None:
    member = {"priority": 1.0, "max_attempts": 2.0, "failure_policy": {"tolerate": 3.0}}
    create(
        client, {"name": "P", **member}, {"name": "c", "parent": 0.0}, conductor.parent(2.0, "F")
    )
    parent = ConductorTask.objects.select_related("conductorparent").get(name="P")
    assert (parent.priority, parent.max_attempts) == (1, 2)
    assert (parent.conductorparent.tolerated, parent.conductorparent.fanout) == (3, 1)
    work()
    assert ConductorTask.objects.filter(name__startswith="F#").count() == 2


def test_the_same_idempotency_key_creates_one_run(client: Api) -> None:
    body = {"name": "night", "tasks": [TASK]}
    first = client.post(RUNS, body, Idempotency_Key="k1")
    again = client.post(RUNS, body, Idempotency_Key="k1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    other = client.post(RUNS, {**body, "name": "other"}, Idempotency_Key="k1")
    problem(other, 422, "idempotency_key_reused")
    bea = api(create_user("bea", "Operator", "default"))
    assert bea.post(RUNS, body, Idempotency_Key="k1").json()["id"] != first.json()["id"]
    NamespaceGrant.objects.all().delete()
    problem(bea.post(RUNS, body, Idempotency_Key="k1"), 404, "unknown_namespace")
    assert ConductorRun.objects.count() == 2


def test_a_refused_run_leaves_its_key_free(client: Api) -> None:
    problem(client.post(RUNS, {"name": "r", "tasks": []}, Idempotency_Key="k"), 422, "invalid_body")
    assert client.post(RUNS, {"name": "r", "tasks": [TASK]}, Idempotency_Key="k").status_code == 201


def test_runs_are_listed_newest_first_by_state_and_namespace(client: Api) -> None:
    ids = [conductor.run(TASK, namespace=name).id for name in ("eu", "us", "eu")]
    assert claim(client, run_id=ids[0])

    def listed(query: str) -> list[str]:
        return [run["id"] for run in client.get(f"{RUNS}?{query}").json()["results"]]

    assert listed("") == ids[::-1]
    assert listed("namespace=eu") == [ids[2], ids[0]]
    assert listed("state=RUNNING") == [ids[0]]
    assert listed("namespace=us&state=RUNNING") == []
    page = client.get(f"{RUNS}?limit=2").json()
    following = client.get(page["next"].partition("testserver")[2]).json()
    assert [run["id"] for run in following["results"]] == [ids[0]]
    assert following["next"] is None
    assert "counts" not in page["results"][0]
    for query in ("state=done", "state=", "parent_id=x", "limit=0", "cursor=x"):
        assert client.get(f"{RUNS}?{query}").status_code == 400, query


def test_tasks_are_listed_by_parent_and_state_in_pages(client: Api) -> None:
    created = create(client, conductor.parent(5), TASK)
    work()
    parent = created["tasks"][0]["id"]
    path = f"{RUNS}/{created['id']}/tasks"
    (done,) = claim(client, limit=1)
    send(client, done, "complete")

    def names(query: str) -> list[str]:
        found: list[str] = []
        page = {"next": f"testserver{path}?{query}"}
        while page["next"]:
            page = client.get(page["next"].partition("testserver")[2]).json()
            found += [task["name"] for task in page["results"]]
        return found

    children = [f"P#{number}" for number in range(1, 6)]
    assert names("limit=2") == ["P", "t", *children]
    assert names(f"limit=2&parent_id={parent}") == children
    assert names(f"parent_id={parent.lower()}&state=PENDING") == children
    assert names("state=SUCCEEDED") == ["t"]
    assert names("state=CANCELLED") == []
    assert names(f"parent_id={created['id']}") == []
    shown = client.get(path).json()["results"][0]
    assert "input" not in shown
    assert "output" not in shown
    for query in ("state=x", "parent_id=x", "namespace=eu"):
        assert client.get(f"{path}?{query}").status_code == 400, query
    problem(client.get(f"{RUNS}/{'0' * 26}/tasks"), 404, "unknown_conductor_run")
    problem(client.get(f"/conductor/tasks/{'0' * 26}"), 404, "unknown_task")


@pytest.mark.parametrize("by_parent", [False, True])
def test_a_page_of_a_state_ends_after_so_many_tasks_and_goes_on(
    client: Api, monkeypatch: pytest.MonkeyPatch, by_parent: bool
) -> None:
    created = create(client, conductor.parent(20))
    work()
    late = ConductorTask.objects.filter(index__in=[11, 19], parent__isnull=False)
    late.update(state="RUNNING", ready=False)
    monkeypatch.setattr(pages, "MOST_SCANNED", 4)
    path = f"{RUNS}/{created['id']}/tasks?state=RUNNING"
    if by_parent:
        path += f"&parent_id={created['tasks'][0]['id']}"
    found, sizes, back = [], [], None
    while path:
        page = client.get(path.partition("testserver")[2] or path).json()
        found += [task["name"] for task in page["results"]]
        sizes.append(len(page["results"]))
        path, back = page["next"] or "", page["previous"] or back
    assert found == (["P#11", "P#19"] if by_parent else ["P", "P#11", "P#19"])
    assert 0 in sizes
    assert len(sizes) >= 4
    assert back is not None
    assert client.get(back.partition("testserver")[2]).status_code == 200


def test_a_cancelled_run_gives_out_nothing_and_ends(client: Api) -> None:
    created = create(client, TASK, {"name": "u"}, conductor.parent(3))
    work()
    (held,) = claim(client)
    path = f"{RUNS}/{created['id']}/cancel"
    problem(client.post(path, {}), 422, "invalid_body")
    problem(client.post(path, {"reason": " "}), 422, "invalid_body")
    problem(client.post(f"{RUNS}/{'0' * 26}/cancel", {"reason": "x"}), 404, "unknown_conductor_run")
    answer = client.post(path, {"reason": "not needed"})
    assert answer.status_code == 202
    cancelled = answer.json()
    assert cancelled.keys() == {"id", "name", "state", "cancel_requested_at"}
    assert cancelled["id"] == created["id"]
    assert claim(client, limit=10) == []
    assert claim(client, limit=10, run_id=created["id"]) == []
    for verb, body in {"heartbeat": {}, "complete": {}, "fail": {"error": "x"}}.items():
        problem(send(client, held, verb, **body), 409, "invalid_transition")
    again = client.post(path, {"reason": "again"})
    assert (again.status_code, again.json()["cancel_requested_at"]) == (
        202,
        cancelled["cancel_requested_at"],
    )
    work()
    shown = read(client, created["id"])
    assert (shown["state"], shown["counts"]) == ("CANCELLED", {**NONE, "CANCELLED": 6})
    assert shown["finished_at"] is not None
    problem(client.post(path, {"reason": "late"}), 409, "invalid_transition")
    problem(
        client.post(f"/conductor/tasks/{held['id']}/retry", {}),
        409,
        "invalid_transition",
    )
    entry = AuditTrailEntry.objects.get(action="conductor_run.cancelled")
    assert (entry.object_id, entry.reason) == (created["id"], "not needed")


def test_a_parent_is_no_workers_task(client: Api) -> None:
    created = create(client, conductor.parent(1))
    work()
    (child,) = claim(client)
    parent = {**child, "id": created["tasks"][0]["id"]}
    for verb, body in {
        "heartbeat": {},
        "complete": {},
        "release": {},
        "fail": {"error": "x"},
    }.items():
        refusal = problem(send(client, parent, verb, **body), 409, "invalid_transition")
        assert "children" in refusal["detail"]


def test_a_thousand_tasks_are_claimed_and_completed_in_a_call_each(client: Api) -> None:
    created = create(client, conductor.parent(1_001))
    work()
    tasks = claim(client, limit=1_000)
    assert len({task["id"] for task in tasks}) == 1_000
    batch = [{"id": task["id"], "lease_token": task["lease_token"], "output": 1} for task in tasks]
    path = "/conductor/tasks/complete"
    one_more = {"id": created["id"], "lease_token": batch[0]["lease_token"]}
    problem(client.post(path, {"tasks": [*batch, one_more]}), 422, "invalid_body")
    answer = client.post(path, {"tasks": batch})
    assert answer.status_code == 200
    assert [result["state"] for result in answer.json()["results"]] == ["SUCCEEDED"] * 1_000
    again = client.post(path, {"tasks": batch}).json()["results"]
    assert {result["code"] for result in again} == {"invalid_transition"}
    assert read(client, created["id"])["counts"]["SUCCEEDED"] == 1_000


def test_who_may_only_read_reads(client: Api) -> None:
    created = create(client, TASK)
    (task,) = claim(client)
    writes = {
        RUNS: {"name": "r", "tasks": [TASK]},
        CLAIM: {"worker": "w"},
        f"{RUNS}/{created['id']}/cancel": {"reason": "x"},
        "/conductor/tasks/complete": {
            "tasks": [one := {"id": task["id"], "lease_token": task["lease_token"]}]
        },
        "/conductor/tasks/heartbeat": {"tasks": [one]},
    }
    token = {"lease_token": task["lease_token"]}
    for verb, body in {
        "heartbeat": token,
        "complete": token,
        "release": token,
        "fail": {**token, "error": "x"},
        "retry": {},
        "cancel": {},
    }.items():
        writes[f"/conductor/tasks/{task['id']}/{verb}"] = body
    reads = (
        RUNS,
        f"{RUNS}/{created['id']}",
        f"{RUNS}/{created['id']}/tasks",
        f"/conductor/tasks/{task['id']}",
    )
    operator = create_user("opal")
    for reader in (api(create_user("vic", "Viewer")), api(operator, "read")):
        assert [reader.get(path).status_code for path in reads] == [200] * len(reads)
        for path, body in writes.items():
            problem(reader.post(path, body), 403, "forbidden")
    for path, body in writes.items():
        problem(Api(None).post(path, body), 401, "unauthenticated")
    assert send(client, task, "complete").status_code == 200


def test_a_token_of_one_namespace_sees_works_and_creates_there_alone() -> None:
    everything = create_user("ann")
    mine = conductor.run(TASK, namespace="eu")
    hidden = conductor.run({"name": "secret"}, namespace="us")
    client = api(everything, namespaces=["eu"])
    assert [run["id"] for run in client.get(RUNS).json()["results"]] == [mine.id]
    for path in (f"{RUNS}/{hidden.id}", f"{RUNS}/{hidden.id}/tasks"):
        problem(client.get(path), 404, "unknown_conductor_run")
    problem(client.get(f"/conductor/tasks/{hidden.tasks[0].id}"), 404, "unknown_task")
    problem(
        client.post(f"{RUNS}/{hidden.id}/cancel", {"reason": "x"}), 404, "unknown_conductor_run"
    )
    assert [task["name"] for task in claim(client, limit=10)] == ["t"]
    body = {"name": "r", "tasks": [TASK]}
    assert client.post(RUNS, {**body, "namespace": "eu"}).status_code == 201
    for namespace in ("us", "default"):
        problem(client.post(RUNS, {**body, "namespace": namespace}), 404, "unknown_namespace")
    # The text of the refusal tells nothing that a missing one doesn't.
    texts = [
        json.loads(client.get(f"{RUNS}/{run_id}").content)["detail"].replace(run_id, "ID")
        for run_id in (hidden.id, "0" * 26)
    ]
    assert texts[0] == texts[1]

"""GET /operations, its runs, their items, periodic work; POST /operations/{id}/cancel."""

from uuid import UUID

import pytest

from governance.models import OperationRun, OperationRunItem
from governance.namespaces import registry
from governance.operations import ledger, periodic
from governance.operations.periodic import Work
from governance.states import Every, Outcome
from tests.support.callers import api, create_user, problem

pytestmark = pytest.mark.django_db


def runs() -> tuple[OperationRun, OperationRun, OperationRun]:
    """One run of the workspace that has ended, an active one of namespace a, an active one of b."""
    registry.ensure(["a", "b"])
    whole, _ = ledger.ensure_workspace_run_with_identity(
        "ops.prune", {"days": 9}, initiator="orbit"
    )
    ledger.complete(whole, Outcome.SUCCEEDED, {"deleted": 3}, progress={"note": "done"})
    a, _ = ledger.ensure_run_with_identity(
        "a", "dlq.bulk_requeue", {}, initiator="ann", reason="it is back"
    )
    b, _ = ledger.ensure_run_with_identity("b", "dlq.bulk_requeue", {}, initiator="bob")
    OperationRunItem.objects.create(
        run=a, object_id=UUID(int=2), outcome="succeeded", detail="requeued as job x"
    )
    OperationRunItem.objects.create(run=a, object_id=UUID(int=1))
    return whole, a, b


def test_runs_are_listed_filtered_and_read() -> None:
    whole, a, b = runs()
    client = api(create_user())
    assert [row["id"] for row in client.get("/operations").json()["results"]] == [
        str(b.pk),
        str(a.pk),
        str(whole.pk),
    ]
    for query, expected in (
        ("namespace=a", [a]),
        ("status=completed", [whole]),
        ("outcome=failed", []),
        ("type=dlq.bulk_requeue", [b, a]),
    ):
        assert [row["id"] for row in client.get(f"/operations?{query}").json()["results"]] == [
            str(run.pk) for run in expected
        ], query
    run = client.get(f"/operations/{whole.pk}").json()
    assert (run["type"], run["namespace"], run["status"], run["outcome"]) == (
        "ops.prune",
        None,
        "completed",
        "succeeded",
    )
    assert (run["summary_counts"], run["progress"], run["context"]) == (
        {"deleted": 3},
        {"note": "done"},
        {"days": 9},
    )
    assert (client.get(f"/operations/{a.pk}").json()["reason"], run["next_due_at"]) == (
        "it is back",
        None,
    )
    problem(client.get("/operations?status=done"), 400, "invalid_parameter")


def test_items_have_their_outcome_in_order() -> None:
    _, a, _ = runs()
    client = api(create_user("vic", "Viewer"), "read")
    page = client.get(f"/operations/{a.pk}/items?limit=1").json()
    assert page["results"] == [{"object_id": str(UUID(int=1)), "outcome": None, "detail": ""}]
    second = client.get(page["next"].replace("http://testserver", "")).json()["results"]
    assert second == client.get(f"/operations/{a.pk}/items?outcome=succeeded").json()["results"]
    assert second == [
        {"object_id": str(UUID(int=2)), "outcome": "succeeded", "detail": "requeued as job x"}
    ]


def test_a_run_is_cancelled_once() -> None:
    whole, a, _ = runs()
    client = api(create_user())
    answer = client.post(f"/operations/{a.pk}/cancel", {"reason": "enough"})
    assert (answer.status_code, answer.json()["outcome"], answer.json()["cancel_requested_by"]) == (
        202,
        "cancelled",
        "ann",
    )
    problem(client.post(f"/operations/{a.pk}/cancel", {"reason": "enough"}), 409, "finished")
    problem(client.post(f"/operations/{whole.pk}/cancel", {"reason": "enough"}), 409, "finished")
    for body in ({}, {"reason": " "}, {"reason": "x", "force": True}):
        problem(client.post(f"/operations/{a.pk}/cancel", body), 422, "invalid_body")


def test_a_run_that_is_hidden_looks_like_one_that_is_missing() -> None:
    whole, a, b = runs()
    client = api(create_user("bea", "Operator", "b"))
    assert [row["id"] for row in client.get("/operations").json()["results"]] == [str(b.pk)]
    for hidden in (whole, a):
        for path in ("", "/items"):
            problem(client.get(f"/operations/{hidden.pk}{path}"), 404, "unknown_operation")
        problem(
            client.post(f"/operations/{hidden.pk}/cancel", {"reason": "x"}),
            404,
            "unknown_operation",
        )
    assert client.post(f"/operations/{b.pk}/cancel", {"reason": "x"}).status_code == 202


def test_periodic_work_has_its_next_due_time_last_run_and_outcome() -> None:
    work = Work("ops.test", Every.HOUR, lambda slice_: None)
    [run] = periodic.start_due([work], wake=lambda run: None)
    ledger.complete(OperationRun.objects.get(pk=run), Outcome.SKIPPED, {}, progress={})
    [row] = api(create_user()).get("/operations/periodic").json()["results"]
    assert (row["type"], row["every"], row["last_outcome"]) == ("ops.test", "hour", "skipped")
    assert (row["last_run"]["id"], row["next_due_at"] > row["last_run"]["created_at"]) == (
        str(run),
        True,
    )
    confined = api(create_user("bea", "Operator", "b"))
    assert confined.get("/operations/periodic").json() == {"results": []}

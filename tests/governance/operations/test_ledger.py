"""The ledger: one active run for each identity, and one end for each run."""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import UUID

import pytest
from django.db import IntegrityError, connection, transaction

from governance.access.actors import SYSTEM, NamespaceUnknown
from governance.models import OperationRun
from governance.namespaces import registry
from governance.operations import ledger
from governance.operations.ledger import OperationUnknown
from governance.states import Operation, Outcome

INPUTS = {"days": 90, "names": ["a", "b"]}


def ensure_workspace_run(**inputs: object) -> tuple[OperationRun, bool]:
    return ledger.ensure_workspace_run_with_identity(
        "ops.prune", {**INPUTS, **inputs}, initiator="ann"
    )


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize("namespace", ["a", None])
def test_of_many_callers_at_once_one_makes_the_run(namespace: str | None) -> None:
    registry.ensure(["a"])

    def ask(_: int) -> tuple[UUID, bool]:
        try:
            run, created = (
                ensure_workspace_run()
                if namespace is None
                else ledger.ensure_run_with_identity(
                    namespace, "ops.prune", INPUTS, initiator="ann"
                )
            )
            return run.pk, created
        finally:
            connection.close()

    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(ask, range(32)))
    assert len({run for run, _ in answers}) == 1
    assert sum(created for _, created in answers) == 1
    assert OperationRun.objects.count() == 1


@pytest.mark.usefixtures("committed")
def test_many_callers_that_start_and_end_runs_never_make_two_or_fail() -> None:
    def ask(_: int) -> None:
        try:
            for _ in range(10):
                run, created = ensure_workspace_run()
                if created:
                    ledger.complete(run, Outcome.SUCCEEDED, {}, progress={})
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))
    assert not OperationRun.objects.exclude(status="completed").exists()


@pytest.mark.django_db
@pytest.mark.parametrize("namespace", ["a", None])
def test_a_clash_of_ids_is_not_taken_for_an_active_run(
    namespace: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.ensure(["a"])
    other, _ = ledger.ensure_workspace_run_with_identity("ops.other", {}, initiator="ann")
    monkeypatch.setattr(ledger, "uuid7", lambda: other.pk)
    with pytest.raises(IntegrityError, match="governance_operationrun_pkey"):
        if namespace is None:
            ensure_workspace_run()
        else:
            ledger.ensure_run_with_identity(namespace, "ops.prune", INPUTS, initiator="ann")


@pytest.mark.django_db
def test_another_namespace_type_or_input_is_another_run_and_an_ended_one_is_replaced() -> None:
    registry.ensure(["a", "b"])
    first, created = ensure_workspace_run()
    assert (created, ensure_workspace_run()[0].pk, first.context) == (True, first.pk, INPUTS)
    others = [
        ensure_workspace_run(days=30)[0],
        ledger.ensure_run_with_identity("a", "ops.prune", INPUTS, initiator="ann")[0],
        ledger.ensure_run_with_identity("b", "ops.prune", INPUTS, initiator="ann")[0],
        ledger.ensure_run_with_identity("a", "ops.other", INPUTS, initiator="ann")[0],
        ledger.ensure_workspace_run_with_identity(
            "ops.prune", INPUTS, initiator="ann", scope=["b", "a"]
        )[0],
    ]
    assert len({first.pk, *(run.pk for run in others)}) == 6
    assert (
        ledger.ensure_workspace_run_with_identity(
            "ops.prune", INPUTS, initiator="bob", scope=["a", "b"]
        )[0].pk
        == others[-1].pk
    )
    ledger.complete(first, Outcome.SUCCEEDED, {}, progress={})
    assert ensure_workspace_run()[1]
    with pytest.raises(NamespaceUnknown):
        ledger.ensure_run_with_identity("nowhere", "ops.prune", INPUTS, initiator="ann")


@pytest.mark.django_db
def test_the_first_end_counts_and_its_summary_has_known_counts_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    run, _ = ensure_workspace_run()
    with caplog.at_level(logging.WARNING):
        completed_run = ledger.complete(
            run,
            Outcome.FAILED,
            {"total": 3, "failed": 3, "bananas": 1, "deleted": True, "updated": -1},
            progress={"note": "n"},
        )
    assert completed_run
    assert "bananas, deleted, updated" in caplog.text
    assert not ledger.complete(run, Outcome.SUCCEEDED, {"total": 9}, progress={})
    run.refresh_from_db()
    assert (run.status, run.outcome, run.summary_counts, run.next_due_at) == (
        "completed",
        "failed",
        {"total": 3, "failed": 3},
        None,
    )
    assert ledger.save_progress(run, {"total": 1}, wait=0) is None


@pytest.mark.django_db
@pytest.mark.parametrize(
    "columns",
    [
        {"status": "completed"},
        {"outcome": "failed"},
        {"outcome": "odd"},
        {"status": "odd"},
        {"scope": []},
    ],
)
def test_the_database_refuses_an_impossible_run(columns: dict[str, object]) -> None:
    run, _ = ensure_workspace_run()
    with pytest.raises(IntegrityError), transaction.atomic():
        OperationRun.objects.filter(pk=run.pk).update(**columns)
    run.refresh_from_db()
    assert run.status == Operation.QUEUED


@pytest.mark.django_db
def test_a_run_is_visible_to_users_who_see_all_of_its_namespaces() -> None:
    registry.ensure(["a", "b"])
    whole, _ = ensure_workspace_run()
    run_of_two, _ = ledger.ensure_workspace_run_with_identity(
        "t", {}, initiator="ann", scope=["a", "b"]
    )
    run_of_one, _ = ledger.ensure_run_with_identity("a", "t", {}, initiator="ann")

    def visible_to(*namespaces: str) -> set[UUID]:
        actor = replace(SYSTEM, namespaces=frozenset(namespaces))
        return set(OperationRun.objects.filter(ledger.visible(actor)).values_list("pk", flat=True))

    assert visible_to("a") == {run_of_one.pk}
    assert visible_to("a", "b", "c") == {run_of_one.pk, run_of_two.pk}
    assert visible_to("b") == set()
    assert ledger.find(whole.pk, actor=SYSTEM).pk == whole.pk
    with pytest.raises(OperationUnknown):
        ledger.find(run_of_two.pk, actor=replace(SYSTEM, namespaces=frozenset({"a"})))

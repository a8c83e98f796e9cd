"""The ledger: one active run for each identity, however many ask; one end for each run."""

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


def in_the_workspace(**inputs: object) -> tuple[OperationRun, bool]:
    return ledger.ensure_workspace_run_with_identity(
        "ops.prune", {**INPUTS, **inputs}, initiator="ann"
    )


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize("namespace", ["a", None])
def test_of_many_who_ask_at_once_one_makes_the_run(namespace: str | None) -> None:
    registry.ensure(["a"])

    def ask(_: int) -> tuple[UUID, bool]:
        try:
            run, made = (
                in_the_workspace()
                if namespace is None
                else ledger.ensure_run_with_identity(
                    namespace, "ops.prune", INPUTS, initiator="ann"
                )
            )
            return run.pk, made
        finally:
            connection.close()

    with ThreadPoolExecutor(32) as pool:
        found = list(pool.map(ask, range(32)))
    assert len({run for run, _ in found}) == 1
    assert sum(made for _, made in found) == 1
    assert OperationRun.objects.count() == 1


@pytest.mark.usefixtures("committed")
def test_of_many_who_ask_and_end_there_is_never_more_than_one_and_nobody_is_turned_away() -> None:
    def ask(_: int) -> None:
        try:
            for _ in range(10):
                run, made = in_the_workspace()
                if made:
                    ledger.complete(run, Outcome.SUCCEEDED, {}, progress={})
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))
    assert not OperationRun.objects.exclude(status="completed").exists()


@pytest.mark.django_db
def test_another_namespace_type_or_input_is_another_run_and_an_ended_one_is_replaced() -> None:
    registry.ensure(["a", "b"])
    first, made = in_the_workspace()
    assert (made, in_the_workspace()[0].pk, first.context) == (True, first.pk, INPUTS)
    others = [
        in_the_workspace(days=30)[0],
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
    assert in_the_workspace()[1]
    with pytest.raises(NamespaceUnknown):
        ledger.ensure_run_with_identity("nowhere", "ops.prune", INPUTS, initiator="ann")


@pytest.mark.django_db
def test_the_first_end_stands_and_its_counts_are_those_that_a_summary_may_have(
    caplog: pytest.LogCaptureFixture,
) -> None:
    run, _ = in_the_workspace()
    with caplog.at_level(logging.WARNING):
        ended = ledger.complete(
            run,
            Outcome.FAILED,
            {"total": 3, "failed": 3, "bananas": 1, "deleted": True, "updated": -1},
            progress={"note": "n"},
        )
    assert ended
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
def test_the_database_holds_what_a_run_may_look_like(columns: dict[str, object]) -> None:
    run, _ = in_the_workspace()
    with pytest.raises(IntegrityError), transaction.atomic():
        OperationRun.objects.filter(pk=run.pk).update(**columns)
    run.refresh_from_db()
    assert run.status == Operation.QUEUED


@pytest.mark.django_db
def test_a_run_is_seen_by_whoever_sees_all_of_its_namespaces() -> None:
    registry.ensure(["a", "b"])
    whole, _ = in_the_workspace()
    both, _ = ledger.ensure_workspace_run_with_identity("t", {}, initiator="ann", scope=["a", "b"])
    mine, _ = ledger.ensure_run_with_identity("a", "t", {}, initiator="ann")

    def seen(*namespaces: str) -> set[UUID]:
        actor = replace(SYSTEM, namespaces=frozenset(namespaces))
        return set(OperationRun.objects.filter(ledger.visible(actor)).values_list("pk", flat=True))

    assert seen("a") == {mine.pk}
    assert seen("a", "b", "c") == {mine.pk, both.pk}
    assert seen("b") == set()
    assert ledger.find(whole.pk, actor=SYSTEM).pk == whole.pk
    with pytest.raises(OperationUnknown):
        ledger.find(both.pk, actor=replace(SYSTEM, namespaces=frozenset({"a"})))

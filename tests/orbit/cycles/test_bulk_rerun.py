"""Many cycles are run again: one after the other in each namespace, oldest first."""

from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from governance.access.actors import SYSTEM, NamespaceUnknown
from governance.models import AuditTrailEntry, GovernanceSetting, OperationRun, OperationRunItem
from orbit.cycles import cancel
from orbit.cycles.rerun import bulk
from orbit.cycles.rerun.bulk import CycleFilter, CycleSelection
from orbit.models import CycleRun, DeadLetterDispatch
from orbit.states import Trigger
from tests.support.configuration import active_cycle
from tests.support.dead_letters import create_dead_letters, run_batches
from tests.support.pipeline import configure_endpoints


@pytest.fixture(autouse=True)
def _own_database(committed: str, settings: Any) -> None:
    settings.ORBIT_MAX_DISPATCH_RETRIES = 0
    configure_endpoints(settings, default_endpoint="http://127.0.0.1:9/x")


def start_run(selection: CycleSelection, actor: Any = SYSTEM, rate: int = 50) -> UUID:
    return bulk.start(
        selection, actor=actor, reason="the receiver is back", source=Trigger.REST, rate=rate
    ).run_id


def reruns() -> list[tuple[str, UUID]]:
    return list(
        CycleRun.objects.filter(rerun_of__isnull=False)
        .order_by("id")
        .values_list("namespace", "rerun_of")
    )


def cancel_active() -> None:
    """Cancel the active cycles, so that their deliveries are not made."""
    for cycle in CycleRun.objects.filter(status__in=["pending", "running"]):
        cancel.cancel(cycle.pk, actor=SYSTEM, reason="x")


def outcomes(run_id: UUID) -> dict[UUID, tuple[str | None, str]]:
    return {
        cycle_id: (outcome, detail)
        for cycle_id, outcome, detail in OperationRunItem.objects.filter(run=run_id).values_list(
            "object_id", "outcome", "detail"
        )
    }


def test_each_namespace_runs_one_cycle_at_a_time_oldest_first() -> None:
    first, second = create_dead_letters(2, namespace="a")
    (other,) = create_dead_letters(1, namespace="b")
    run_id = start_run(CycleFilter())
    run = run_batches(run_id)
    assert sorted(reruns()) == [("a", first), ("b", other)]
    assert (run.status, run.progress["processed"]) == ("running", 2)
    run = run_batches(run_id, 2)
    assert (len(reruns()), run.progress["note"]) == (
        2,
        "waiting for namespaces that are stopped or have an active cycle: a",
    )
    cancel_active()
    run = run_batches(run_id)
    assert reruns()[-1] == ("a", second)
    assert (run.outcome, run.summary_counts) == (
        "succeeded",
        {"total": 3, "processed": 3, "succeeded": 3, "failed": 0, "skipped": 0},
    )
    new = CycleRun.objects.get(rerun_of=second).pk
    assert outcomes(run_id)[second] == ("succeeded", f"runs again as cycle {new}")
    assert {entry.object_id for entry in AuditTrailEntry.objects.filter(action="cycle.rerun")} == {
        str(first),
        str(second),
        str(other),
    }
    assert AuditTrailEntry.objects.filter(action="operation.started").count() == 1
    assert DeadLetterDispatch.objects.filter(status="requeued").count() == 3


def test_a_slice_runs_no_more_cycles_again_than_the_rate() -> None:
    for name in "abcde":
        create_dead_letters(1, namespace=name)
    run_id = start_run(CycleFilter(), rate=2)
    run_batches(run_id)
    assert len(reruns()) in {2, 3, 4}
    assert run_batches(run_id, 2).outcome == "succeeded"


def test_a_filter_selects_finished_cycles_that_were_not_run_again() -> None:
    (old,) = create_dead_letters(1, namespace="a")
    run_batches(start_run([old]))
    cancel_active()
    create_dead_letters(1, namespace="b")
    active_cycle("b")
    # The re-run of `a` was cancelled. The cycle that it repeats is no longer selected.
    cycle_ids = bulk.preview(CycleFilter(), actor=SYSTEM)
    assert (len(cycle_ids), old in cycle_ids) == (2, False)
    assert bulk.preview(CycleFilter(namespace="a", status="failed"), actor=SYSTEM) == []
    assert len(bulk.preview(CycleFilter(namespace="a", status="cancelled"), actor=SYSTEM)) == 1


def test_a_cycle_that_cannot_run_again_gets_an_outcome_and_stops_no_other() -> None:
    (allowed,), (hidden,), missing = (
        create_dead_letters(1, namespace="a"),
        create_dead_letters(1, namespace="c"),
        uuid4(),
    )
    CycleRun.objects.filter(pk=hidden).update(namespace="c")
    disabled = create_dead_letters(1, namespace="b")[0]
    CycleRun.objects.filter(pk=disabled).update(run_profile_id="r9")
    actor = replace(SYSTEM, namespaces=frozenset({"a", "b"}))
    run_id = start_run([allowed, hidden, missing, disabled], actor)
    run = run_batches(run_id, 3)
    results = outcomes(run_id)
    assert results[hidden] == results[missing] == ("failed", "there is no such cycle")
    assert results[disabled][1].startswith("disabled: The run profile r9")
    assert (run.outcome, run.summary_counts["succeeded"], run.summary_counts["failed"]) == (
        "partially_succeeded",
        1,
        3,
    )


@pytest.mark.parametrize("stop", [{"halt": True, "mode": "halting"}, {"mode": "draining"}])
def test_a_stopped_namespace_waits_and_no_other_does(stop: dict[str, Any]) -> None:
    create_dead_letters(1, namespace="a")
    create_dead_letters(1, namespace="b")
    GovernanceSetting.objects.filter(namespace__name="a").update(**stop)
    run_id = start_run(CycleFilter(), rate=1)
    run = run_batches(run_id, 3)
    assert ([name for name, _ in reruns()], run.status) == (["b"], "running")
    GovernanceSetting.objects.filter(namespace__name="a").update(halt=False, mode="running")
    assert run_batches(run_id).outcome == "succeeded"


def test_a_pause_of_everything_stops_a_slice(settings: Any) -> None:
    create_dead_letters(1)
    run_id = start_run(CycleFilter())
    settings.ORBIT_GLOBAL_PAUSE = True
    assert run_batches(run_id).progress["note"] == "waiting: everything is paused"
    settings.ORBIT_GLOBAL_PAUSE = False
    assert run_batches(run_id).outcome == "succeeded"


def test_the_same_request_returns_the_active_run_and_a_hidden_namespace_is_unknown() -> None:
    create_dead_letters(3)
    assert start_run(CycleFilter(namespace="a")) == start_run(CycleFilter(namespace="a"))
    assert OperationRun.objects.count() == 1
    with pytest.raises(NamespaceUnknown):
        start_run(CycleFilter(namespace="a"), replace(SYSTEM, namespaces=frozenset({"b"})))
    assert bulk.preview(CycleFilter(), actor=replace(SYSTEM, namespaces=frozenset({"b"}))) == []


def test_a_run_takes_no_more_than_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "RERUN", replace(bulk.RERUN, max_objects=3))
    cycle_ids = create_dead_letters(5)
    run_id = start_run(CycleFilter())
    assert sorted(outcomes(run_id)) == cycle_ids[:3]
    assert OperationRun.objects.get(pk=run_id).progress["more"] is True

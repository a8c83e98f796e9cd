"""A prune beside what refers to the same rows: one of the two waits, and either wins."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections, transaction

from governance.access.actors import SYSTEM
from governance.models import AuditTrailEntry
from orbit.conductor import work
from orbit.cycles.rerun import single
from orbit.errors import CycleUnknown, InvalidTransition, TaskUnknown
from orbit.models import ConductorRun, ConductorTask, CycleRun
from orbit.retention import cycles, runs
from orbit.retention.sweep import Sweep
from orbit.states import Trigger
from tests.support import old_rows
from tests.support.pipeline import configure_endpoints, rows
from tests.support.polling import until
from tests.support.threads import at_once

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture(autouse=True)
def _endpoint(settings: Any) -> None:
    configure_endpoints(settings, **{"default-endpoint": "http://127.0.0.1:9/"})


def rerun(cycle: CycleRun) -> Any:
    return single.start(cycle.pk, actor=SYSTEM, reason="test", source=Trigger.COMMAND)


@contextmanager
def uncommitted(act: Callable[[], Any]) -> Iterator[None]:
    """Do ``act`` in a transaction of another thread, which commits at the end."""
    done, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                act()
                done.set()
                go_on.wait(60)
        finally:
            done.set()
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(hold)
        done.wait(60)
        try:
            yield
        finally:
            go_on.set()
        held.result()


def refused(held: Callable[[], Any], call: Callable[[], Any]) -> BaseException | None:
    """Return how ``call`` ends that waits for the transaction of ``held``."""

    def make() -> Any:
        try:
            return call()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with uncommitted(held):
            future = pool.submit(make)
            until(
                lambda: rows(
                    "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
                    " AND wait_event_type = 'Lock'"
                ),
                "no session waits for a lock",
            )
        return future.exception()


def test_a_cycle_that_is_just_run_again_stays() -> None:
    old_rows.old_cycles(2)
    first = CycleRun.objects.order_by("id")[0]
    with uncommitted(lambda: rerun(first)):
        done = old_rows.prune()
    assert done.kept["cycles"] == {"another transaction uses it": 1}
    assert old_rows.prune().kept["cycles"] == {"an active cycle refers to it": 1}
    assert CycleRun.objects.filter(rerun_of=first).count() == 1


def test_a_rerun_of_a_cycle_that_is_just_deleted_is_refused() -> None:
    old_rows.old_cycles(2)
    first = CycleRun.objects.order_by("id")[0]
    error = refused(old_rows.prune, lambda: rerun(first))
    assert isinstance(error, CycleUnknown)
    assert not CycleRun.objects.exists()


@pytest.mark.parametrize("act", [work.retry, work.cancel])
def test_a_run_whose_task_is_just_retried_or_cancelled_stays(act: Callable[..., Any]) -> None:
    run = old_rows.old_run(children=2)
    task = ConductorTask.objects.get(run=run, name="t1", parent__isnull=False)
    with uncommitted(lambda: act(task.pk, actor=SYSTEM)):
        assert old_rows.prune().kept["conductor_runs"] == {runs.IN_USE: 1}
    assert old_rows.prune().deleted.get("conductor_runs") is None
    assert ConductorTask.objects.filter(run=run).count() == 3


@pytest.mark.parametrize("act", [work.retry, work.cancel])
def test_a_retry_in_a_run_that_is_just_deleted_is_refused(act: Callable[..., Any]) -> None:
    run = old_rows.old_run(children=2)
    task = ConductorTask.objects.get(run=run, name="t1", parent__isnull=False)
    error = refused(old_rows.prune, lambda: act(task.pk, actor=SYSTEM))
    assert isinstance(error, TaskUnknown)


@pytest.mark.parametrize("act", [work.retry, work.cancel])
def test_a_retry_in_a_run_that_is_partly_deleted_is_refused(
    act: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "TASKS", 2)
    run = old_rows.old_run(children=4)
    runs.prune_runs(Sweep().until, runs.START)
    left = ConductorTask.objects.filter(run=run, parent__isnull=False)
    assert left.count() == 2
    with pytest.raises(InvalidTransition, match="is being deleted by retention since"):
        act(left[0].pk, actor=SYSTEM)
    assert old_rows.prune().deleted["conductor_runs"] == 1


def test_prunes_at_once_delete_each_row_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cycles, "CYCLES", 3)
    monkeypatch.setattr(runs, "TASKS", 2)
    old_rows.old_cycles(20)
    old_rows.make_initiation_old()
    for _ in range(4):
        old_rows.old_run(children=5)
    done = at_once(*[old_rows.prune] * 4)
    # What one of them met while another held it is left to the next.
    done.append(old_rows.prune())
    assert sum(sweep.deleted.get("cycles", 0) for sweep in done) == 20
    assert sum(sweep.deleted.get("initiations", 0) for sweep in done) == 1
    assert sum(sweep.deleted.get("conductor_tasks", 0) for sweep in done) == 24
    assert not CycleRun.objects.exists()
    assert not ConductorRun.objects.exists()
    assert not AuditTrailEntry.objects.filter(action="retention.pruned").exists()

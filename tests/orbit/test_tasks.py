"""The queue's tasks: advance cycles, perform ticks, operate on bulk runs."""

from datetime import UTC, datetime, timedelta

import pytest
from django_q.models import OrmQ

from advisory import tasks as advisory_tasks
from governance.kernel.identifiers import uuid7
from governance.operations import periodic
from governance.states import Every
from orbit import queue, tasks
from orbit.cycles.rerun import bulk as rerun_bulk
from orbit.dispatch import bulk
from orbit.models import CronTick, CycleRun
from tests.support.configuration import active_cycle


def test_a_run_that_cannot_claim_due_cycles_pauses_before_the_next_one(committed: str) -> None:
    cycle = active_cycle()
    CycleRun.objects.filter(pk=cycle.pk).update(
        lease_owner=None, next_due_at=datetime.now(UTC) + timedelta(seconds=30)
    )
    called_at = datetime.now(UTC)
    tasks.advance()
    [row] = OrmQ.objects.all()
    assert row.key == queue.WAKE
    assert row.lock > called_at + timedelta(seconds=0.2)


def test_a_run_without_cycles_leaves_no_wakeup(committed: str) -> None:
    tasks.advance()
    assert not OrmQ.objects.exists()


@pytest.mark.django_db
def test_a_tick_is_performed_by_its_id() -> None:
    tick = CronTick.objects.create(
        id=uuid7(), schedule="cycles", tick_key="k", due_at=datetime.now(UTC), outcome="due"
    )
    tasks.tick(str(tick.id))
    assert CronTick.objects.get().outcome == "started"


def test_the_table_of_tasks_names_functions_that_exist() -> None:
    assert {
        f"orbit.tasks.{name}"
        for name in ("advance", "tick", "operate")
        if callable(getattr(tasks, name))
    } == queue.TASKS


def test_every_bulk_action_and_periodic_work_has_its_slices() -> None:
    actions = (bulk.REQUEUE, bulk.DISMISS, rerun_bulk.RERUN)
    periodic_types = {work.type for work in tasks.periodic_work()}
    assert set(tasks.handlers()) == (
        {action.type for action in actions} | periodic_types | set(tasks.RENAMED)
    )


def test_periodic_work_of_an_app_above_is_done_too() -> None:
    every = {work.type: str(work.every) for work in tasks.periodic_work()}
    assert every[advisory_tasks.TYPE] == "day"
    assert every["ops.expire_proposals"] == "minute"
    with pytest.raises(ValueError, match=r"advisory\.signals"):
        periodic.register(periodic.Work(advisory_tasks.TYPE, Every.DAY, lambda slice_: None))

"""Maintenance asks once a second whether anything waits, and does what does."""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_q.models import Schedule

from governance.access.actors import SYSTEM
from governance.alerts import evaluate
from governance.alerts.conditions import Condition, Look, Observation
from governance.kernel.availability import ReadOnlyServer
from governance.kernel.identifiers import uuid7
from governance.models import OperationRun
from governance.namespaces import halts
from governance.operations import ledger
from orbit import interrupts, queue
from orbit.interrupts import WorkerState
from orbit.models import CronTick, CycleRun
from orbit_site.processes.maintenance import SECOND, Maintenance
from orbit_site.processes.postgres import Server
from orbit_site.processes.waiting_work import LOOK, Waiting, WaitingWork
from telemetry.models import OutboxEvent
from tests.support import conductor, outbox
from tests.support.configuration import active_cycle
from tests.support.pipeline import rows
from tests.support.read_only import read_only

PAST = timedelta(seconds=60)


def due_cycle(resumes: int = 0) -> None:
    long_ago = datetime.now(UTC) - PAST
    CycleRun.objects.filter(pk=active_cycle().pk).update(next_due_at=long_ago, resumes=resumes)


def queued_cycle() -> None:
    CycleRun.objects.filter(pk=active_cycle().pk).update(status="queued", next_due_at=None)


def due_schedule() -> None:
    Schedule.objects.create(
        func=queue.TICK, name="x", cron="0 0 * * *", next_run=datetime.now(UTC) - PAST
    )


def schedule_without_a_next_run() -> None:
    Schedule.objects.create(func=queue.TICK, name="x", next_run=None)


def waiting_tick() -> None:
    now = datetime.now(UTC)
    CronTick.objects.create(
        id=uuid7(), schedule="x", tick_key="y", due_at=now, outcome="due", detail={}, created_at=now
    )


def late_operation() -> None:
    run, _ = ledger.ensure_workspace_run_with_identity("t", {}, initiator="ann")
    OperationRun.objects.filter(pk=run.pk).update(next_due_at=datetime.now(UTC) - PAST)


def parent_to_fan_out() -> None:
    conductor.run(conductor.parent(3))
    OutboxEvent.objects.all().delete()


def event_in_the_outbox() -> None:
    outbox.fill(1)


def alert() -> None:
    evaluate.apply(
        Condition.ENDPOINT_DOWN, Look.of([Observation("aurora", "it is down")]), ["email"]
    )


def look() -> set[Waiting]:
    waiting = WaitingWork()
    waiting.begin(0.0)
    waiting.has(Waiting.TICKS)  # the first pass is certain
    waiting.begin(1.0)
    return {kind for kind in Waiting if waiting.has(kind)}


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize(
    ("kind", "arrange"),
    [
        (Waiting.SCHEDULES, due_schedule),
        (Waiting.SCHEDULES, schedule_without_a_next_run),
        (Waiting.TICKS, waiting_tick),
        (Waiting.STOPS, lambda: halts.halt("default", actor=SYSTEM)),
        (Waiting.QUEUED_CYCLES, queued_cycle),
        (Waiting.DUE_CYCLES, due_cycle),
        (Waiting.SUSPECTED_CYCLES, lambda: due_cycle(resumes=2)),
        (Waiting.OPERATIONS, late_operation),
        (Waiting.CONDUCTOR, parent_to_fan_out),
        (Waiting.OUTBOX, event_in_the_outbox),
        (Waiting.ALERTS, alert),
    ],
)
def test_a_look_tells_what_waits(kind: Waiting, arrange: Callable[[], None]) -> None:
    assert look() == set()
    arrange()
    assert look() == {kind}


@pytest.mark.usefixtures("committed")
def test_every_minute_the_tasks_run_whatever_a_look_says() -> None:
    waiting = WaitingWork()
    certain = []
    for second in range(0, 150, 5):
        waiting.begin(float(second))
        if waiting.has(Waiting.DUE_CYCLES):
            certain.append(second)
    assert certain == [0, 60, 120]


def test_a_look_at_a_server_that_accepts_no_writes_fails(server: Server, committed: str) -> None:
    """An old primary would answer for ever that nothing waits."""
    waiting = WaitingWork()
    waiting.begin(0.0)
    waiting.has(Waiting.TICKS)  # the first pass is certain
    waiting.begin(1.0)
    with read_only(server, committed), pytest.raises(ReadOnlyServer):
        waiting.has(Waiting.TICKS)


@pytest.fixture
def periodic(
    committed: str, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> Iterator[Maintenance]:
    settings.ORBIT_CRON_SCHEDULE = ""
    monkeypatch.setattr(interrupts, "process", WorkerState())
    periodic = Maintenance(uuid7(), os.getpid())
    # Those of each second, without those that only look after a thread.
    periodic.tasks = [
        task for task in periodic.tasks if task.every == SECOND and "watch" not in task.failure
    ]
    yield periodic
    interrupts.process.drain(0)


def test_while_nothing_waits_a_second_costs_one_statement(periodic: Maintenance) -> None:
    periodic.run_due(100.0)
    with CaptureQueriesContext(connection) as captured:
        periodic.run_due(101.0)
    assert [query["sql"][:30] for query in captured] == [LOOK.text[:30]]


@pytest.mark.parametrize(
    ("arrange", "is_done"),
    [
        (due_cycle, lambda: queue.ready_wakeups() == 1),
        (late_operation, lambda: queue.tasks_wait()),
        (queued_cycle, lambda: CycleRun.objects.get().status == "pending"),
    ],
)
def test_what_waits_is_done_at_the_next_second(
    periodic: Maintenance, arrange: Callable[[], None], is_done: Callable[[], bool]
) -> None:
    periodic.run_due(100.0)
    arrange()
    assert not is_done()
    periodic.run_due(100.0 + SECOND)
    assert is_done()


def test_a_locked_table_holds_up_its_own_tasks_only(
    periodic: Maintenance, server: Server, committed: str, caplog: pytest.LogCaptureFixture
) -> None:
    periodic.run_due(100.0)
    queued_cycle()
    with psycopg.connect(server.url("orbit_owner", committed)) as other:
        other.execute("LOCK TABLE governance_operationrun")
        rows("SELECT set_config('lock_timeout', '100ms', false)")
        periodic.run_due(101.0)
    assert [line.split(":")[0] for line in caplog.messages] == ["Can't wake late operation runs"]
    assert CycleRun.objects.get().status == "pending"

"""Each due tick is one row and one task, however many processes look and however often."""

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import InternalError, connection, connections
from django.test.utils import CaptureQueriesContext
from django_q.models import OrmQ
from django_q.models import Schedule as Row

from orbit import queue
from orbit.models import CronTick
from orbit.schedules import ledger
from orbit.schedules.plan import Schedule, plan
from orbit.schedules.rows import CYCLES
from tests.orbit.schedules.test_cron import BERLIN, NOON, local
from tests.support.pipeline import rows


def noon_schedule(cron: str = "0 12 * * *", **members: Any) -> Schedule:
    return Schedule(CYCLES, cron, "UTC", **members)


def next_run() -> datetime | None:
    return Row.objects.get().next_run


def due_at(moment: datetime, name: str = CYCLES, schedule: Schedule | None = None) -> None:
    """Have a schedule whose next run is ``moment``."""
    schedule = schedule or noon_schedule()
    Row.objects.create(
        name=name,
        func=queue.TICK,
        schedule_type="O",
        cron=schedule.cron,
        next_run=moment,
        kwargs=json.dumps(
            {
                "name": name,
                "cron": schedule.cron,
                "time_zone": "UTC",
                "on_missed": "once",
                "max_lateness": 3600,
            }
        ),
    )


@pytest.mark.django_db
def test_a_due_tick_is_one_row_and_one_task_and_the_schedule_moves_on() -> None:
    due_at(NOON)
    ledger.enqueue_due(NOON - timedelta(seconds=1))
    assert not CronTick.objects.exists()
    for _ in range(3):
        ledger.enqueue_due(NOON + timedelta(seconds=1))
    tick = CronTick.objects.get()
    assert (tick.schedule, tick.tick_key, tick.due_at, tick.outcome) == (
        CYCLES,
        "2026-06-01T12:00",
        NOON,
        "due",
    )
    assert OrmQ.objects.get().task["args"] == (str(tick.id),)
    assert next_run() == NOON + timedelta(days=1)


@pytest.mark.django_db
def test_a_tick_that_is_in_the_ledger_is_not_enqueued_again() -> None:
    due_at(NOON)
    ledger.enqueue_due(NOON)
    Row.objects.update(next_run=NOON)
    assert ledger.enqueue_due(NOON) == []
    assert next_run() == NOON + timedelta(days=1)
    assert (CronTick.objects.count(), OrmQ.objects.count()) == (1, 1)


def side_by_side(number: int, act: Callable[[], object]) -> None:
    barrier = threading.Barrier(number, timeout=60)

    def run() -> None:
        try:
            barrier.wait()
            for _ in range(3):
                act()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def enqueued() -> list[str]:
    return [tick for row in OrmQ.objects.all() for tick in row.task["args"]]


def test_four_processes_at_once_write_each_tick_once(committed: str) -> None:
    for number in range(50):
        due_at(NOON, f"s{number}")
    side_by_side(4, lambda: ledger.enqueue_due(NOON))
    assert CronTick.objects.count() == 50
    assert sorted(enqueued()) == sorted(str(tick.pk) for tick in CronTick.objects.all())


@pytest.mark.django_db
def test_thousands_that_are_due_at_once_take_few_statements_and_few_tasks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ledger, "MOST_AT_ONCE", 50)
    for number in range(120):
        due_at(NOON, f"s{number}")
    with CaptureQueriesContext(connection) as captured:
        ledger.enqueue_due(NOON)
    assert len(captured) < 40
    assert (CronTick.objects.count(), OrmQ.objects.count()) == (120, 7)


@pytest.mark.django_db
def test_a_row_that_the_database_refuses_stops_no_other_of_its_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("one", "bad", "two"):
        due_at(NOON, name)
    monkeypatch.setattr(
        ledger,
        "plan",
        lambda schedule, *times: [
            replace(tick, detail={"x": "\x00"} if schedule.name == "bad" else tick.detail)
            for tick in plan(schedule, *times)
        ],
    )
    [line] = ledger.enqueue_due(NOON)
    assert "'bad'" in line and "can't be run" in line
    assert set(CronTick.objects.values_list("schedule", flat=True)) == {"one", "two"}
    assert set(Row.objects.filter(next_run=NOON).values_list("name", flat=True)) == {"bad"}


def test_a_schedule_that_another_process_has_locked_is_not_waited_for(committed: str) -> None:
    due_at(NOON, "held")
    due_at(NOON, "free")
    other = connections.create_connection("default")
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT 1 FROM django_q_schedule WHERE name = 'held' FOR UPDATE")
            rows("SELECT set_config('statement_timeout', '2s', false)")
            assert ledger.enqueue_due(NOON) == []
            assert list(CronTick.objects.values_list("schedule", flat=True)) == ["free"]
            cursor.execute("ROLLBACK")
    finally:
        other.close()
    ledger.enqueue_due(NOON)
    assert CronTick.objects.filter(schedule="held").exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "damage",
    [
        "cron = 'rubbish'",
        "cron = NULL",
        "cron = '0 0 30 2 *'",
        "kwargs = NULL",
        "kwargs = '3'",
        "kwargs = 'foo('",
        "name = NULL",
        """kwargs = '{"name": "x", "cron": "", "time_zone": "Mars/Olympus"}'""",
    ],
)
def test_a_broken_row_is_reported_and_stops_no_other(damage: str) -> None:
    due_at(NOON, "broken")
    due_at(NOON, "sound")
    rows(f"UPDATE django_q_schedule SET {damage} WHERE name = 'broken' RETURNING 1")
    [line] = ledger.enqueue_due(NOON)
    assert "can't be run" in line
    assert list(CronTick.objects.values_list("schedule", flat=True)) == ["sound"]


def test_a_server_that_became_read_only_is_not_the_fault_of_a_row(
    committed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    due_at(NOON)

    def plan_read_only(*arguments: Any) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION READ ONLY")
        return plan(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(ledger, "plan", plan_read_only)
        with pytest.raises(InternalError):
            ledger.enqueue_due(NOON)
    assert ledger.enqueue_due(NOON) == []
    assert CronTick.objects.exists()


@pytest.mark.django_db
def test_times_that_no_calendar_holds_stop_nothing() -> None:
    due_at(NOON, "sound")
    for name, moment in (("past", "-infinity"), ("future", "infinity")):
        due_at(NOON, name)
        rows("UPDATE django_q_schedule SET next_run = %s WHERE name = %s RETURNING 1", moment, name)
    assert ledger.enqueue_due(NOON) == []
    assert CronTick.objects.filter(schedule="sound", outcome="due").exists()
    assert set(CronTick.objects.filter(schedule="past").values_list("outcome", flat=True)) == {
        "missed",
        "due",
    }
    assert not CronTick.objects.filter(schedule="future").exists()
    # A missed tick is decided: it gets no task.
    enqueued = {tick_id for row in OrmQ.objects.all() for tick_id in row.task["args"]}
    due = CronTick.objects.filter(outcome="due").values_list("id", flat=True)
    assert enqueued == {str(tick_id) for tick_id in due}


@pytest.mark.django_db
def test_a_tick_whose_task_was_lost_is_enqueued_again_every_ten_seconds() -> None:
    now = datetime.now(UTC)
    due_at(now)
    ledger.enqueue_due(now)
    OrmQ.objects.all().delete()
    assert ledger.enqueue_lost(now + timedelta(seconds=9)) == 0
    assert [
        ledger.enqueue_lost(now + timedelta(seconds=seconds)) for seconds in (11, 12, 20, 22)
    ] == [1, 0, 0, 1]
    assert {row.task["args"] for row in OrmQ.objects.all()} == {(str(CronTick.objects.get().id),)}
    CronTick.objects.update(outcome="started")
    assert ledger.enqueue_lost(now + timedelta(seconds=60)) == 0


@pytest.mark.django_db
@pytest.mark.parametrize("hour", [0, 1])
def test_the_tick_of_the_hour_that_comes_twice_is_one_row_whenever_it_is_looked_at(
    hour: int,
) -> None:
    first = local(2026, 10, 25, 2, 30, fold=0)
    due_at(first, schedule=Schedule(CYCLES, "30 2 * * *", BERLIN))
    rows(
        "UPDATE django_q_schedule SET kwargs = replace(kwargs, 'UTC', 'Europe/Berlin') RETURNING 1"
    )
    for minutes in (hour * 60, hour * 60 + 1, 61, 90, 600):
        ledger.enqueue_due(first + timedelta(minutes=minutes))
    assert list(CronTick.objects.values_list("tick_key", flat=True)) == ["2026-10-25T02:30"]
    assert next_run() == local(2026, 10, 26, 2, 30)


@pytest.mark.django_db
def test_the_tick_of_the_hour_that_is_missing_is_one_row_at_the_next_valid_minute() -> None:
    due_at(local(2026, 3, 28, 2, 30), schedule=Schedule(CYCLES, "30 2 * * *", BERLIN))
    rows(
        "UPDATE django_q_schedule SET kwargs = replace(kwargs, 'UTC', 'Europe/Berlin') RETURNING 1"
    )
    for hours in range(0, 72, 3):
        ledger.enqueue_due(local(2026, 3, 28, 2, 30) + timedelta(hours=hours, minutes=1))
    assert sorted(CronTick.objects.values_list("tick_key", flat=True)) == [
        "2026-03-28T02:30",
        "2026-03-29T03:00",
        "2026-03-30T02:30",
    ]

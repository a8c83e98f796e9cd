"""Each due tick is one row and one task, whoever looks and however often."""

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connections
from django_q.models import OrmQ
from django_q.models import Schedule as Row

from orbit import queue
from orbit.models import CronTick
from orbit.schedules import ledger
from orbit.schedules.plan import Schedule
from orbit.schedules.rows import CYCLES
from tests.orbit.schedules.test_cron import NOON
from tests.support.pipeline import rows


def asked(cron: str = "0 12 * * *", **members: Any) -> Schedule:
    return Schedule(CYCLES, cron, "UTC", **members)


def next_run() -> datetime | None:
    return Row.objects.get().next_run


def due_at(moment: datetime, name: str = CYCLES, schedule: Schedule | None = None) -> None:
    """Have a schedule whose next run is ``moment``."""
    schedule = schedule or asked()
    Row.objects.create(name=name, func=queue.TICK, schedule_type="O", cron=schedule.cron, next_run=moment,
                       kwargs=json.dumps({"name": name, "cron": schedule.cron, "time_zone": "UTC", "on_missed": "once", "max_lateness": 3600}))


@pytest.mark.django_db
def test_a_due_tick_is_one_row_and_one_task_and_the_schedule_moves_on() -> None:
    due_at(NOON)
    ledger.enqueue_due(NOON - timedelta(seconds=1))
    assert not CronTick.objects.exists()
    for _ in range(3):
        ledger.enqueue_due(NOON + timedelta(seconds=1))
    tick = CronTick.objects.get()
    assert (tick.schedule, tick.tick_key, tick.due_at, tick.outcome) == (CYCLES, "2026-06-01T12:00", NOON, "due")
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
    barrier = threading.Barrier(number)

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


def test_four_keepers_at_once_write_each_tick_once(committed: str) -> None:
    for number in range(20):
        due_at(NOON, f"s{number}")
    side_by_side(4, lambda: ledger.enqueue_due(NOON))
    assert (CronTick.objects.count(), OrmQ.objects.count()) == (20, 20)


def test_a_schedule_that_another_keeper_is_at_is_not_waited_for(committed: str) -> None:
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
@pytest.mark.parametrize("damage", ["cron = 'rubbish'", "cron = NULL", "cron = '0 0 30 2 *'", "kwargs = NULL", "kwargs = '3'", "kwargs = 'foo('", "name = NULL",
                                    """kwargs = '{"name": "x", "cron": "", "time_zone": "Mars/Olympus"}'"""])
def test_a_broken_row_is_reported_and_stops_no_other(damage: str) -> None:
    due_at(NOON, "broken")
    due_at(NOON, "sound")
    rows(f"UPDATE django_q_schedule SET {damage} WHERE name = 'broken' RETURNING 1")
    [line] = ledger.enqueue_due(NOON)
    assert "can't be run" in line
    assert list(CronTick.objects.values_list("schedule", flat=True)) == ["sound"]


@pytest.mark.django_db
def test_times_that_no_calendar_holds_stop_nothing() -> None:
    due_at(NOON, "sound")
    for name, moment in (("past", "-infinity"), ("future", "infinity")):
        due_at(NOON, name)
        rows("UPDATE django_q_schedule SET next_run = %s WHERE name = %s RETURNING 1", moment, name)
    assert ledger.enqueue_due(NOON) == []
    assert CronTick.objects.filter(schedule="sound", outcome="due").exists()
    assert set(CronTick.objects.filter(schedule="past").values_list("outcome", flat=True)) == {"missed", "due"}
    assert not CronTick.objects.filter(schedule="future").exists()


@pytest.mark.django_db
def test_a_tick_whose_task_was_lost_is_enqueued_again_every_ten_seconds() -> None:
    now = datetime.now(UTC)
    due_at(now)
    ledger.enqueue_due(now)
    OrmQ.objects.all().delete()
    assert ledger.enqueue_lost(now + timedelta(seconds=9)) == 0
    assert [ledger.enqueue_lost(now + timedelta(seconds=seconds)) for seconds in (11, 12, 20, 22)] == [1, 0, 0, 1]
    assert {row.task["args"] for row in OrmQ.objects.all()} == {(str(CronTick.objects.get().id),)}

"""The tick ledger: each due tick of each schedule that is on becomes one row.

A tick is written ``due`` in the transaction that sets the next run and enqueues a task. The task
decides it together with what it starts, so exactly once, even if the task is lost, doubled or late.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from governance.kernel import availability, sql
from governance.kernel.identifiers import uuid7
from orbit import interrupts, queue
from orbit.schedules import rows
from orbit.schedules.cron import next_after
from orbit.schedules.plan import PlannedTick, plan
from orbit.schedules.rows import ScheduleRow
from orbit.states import Tick

LOST_AFTER = 10  # seconds
MOST_AT_ONCE, _TICKS_PER_TASK = 200, 20

LOCK_DUE = sql.load(__name__, "lock_due_schedules", schedule_columns=rows.COLUMNS)
INSERT_TICKS = sql.load(__name__, "insert_ticks")
SET_NEXT_RUN = sql.load(__name__, "set_next_run")
TAKE_LOST = sql.load(__name__, "take_lost_ticks")


@dataclass(frozen=True, slots=True)
class _DueSchedule:
    """A due schedule: its ticks until ``now`` and its next run."""

    row: ScheduleRow
    ticks: list[PlannedTick]
    next_run: datetime
    now: datetime


def enqueue_due(now: datetime | None = None) -> list[str]:
    """Write the due ticks and enqueue their tasks.

    Returns a message for each row that can't be read.
    """
    broken: dict[int, str] = {}
    while True:
        interrupts.process.stamp()
        with transaction.atomic():
            locked = LOCK_DUE.rows(func=queue.TICK, now=now, broken=list(broken), most=MOST_AT_ONCE)
            schedules: list[_DueSchedule] = []
            for *columns, moment in locked:
                row = rows.parse(*columns)
                try:
                    schedules.append(_plan(row, moment))
                except Exception as error:  # other programs write this table too
                    broken[row.id] = _message(row, error)
            broken |= _write_each(schedules)
        if len(locked) < MOST_AT_ONCE:
            return list(broken.values())


def advance(row: ScheduleRow, now: datetime) -> None:
    """Write a locked row's due ticks and set its next run. Raises CronInvalid."""
    _write([_plan(row, now)])


def enqueue_lost(now: datetime | None = None) -> int:
    """Enqueue ticks that are still ``due`` after ten seconds; return how many."""
    with transaction.atomic():
        lost = [str(tick_id) for (tick_id,) in TAKE_LOST.rows(now=now, lost=LOST_AFTER)]
        _enqueue(lost)
    return len(lost)


def _plan(row: ScheduleRow, now: datetime) -> _DueSchedule:
    schedule = row.schedule
    ticks = plan(schedule, row.next_run, now) if row.next_run else []
    return _DueSchedule(row, ticks, next_after(schedule.cron, schedule.time_zone, now), now)


def _write_each(schedules: Sequence[_DueSchedule]) -> dict[int, str]:
    """Write ``schedules``; return messages by row id."""
    broken: dict[int, str] = {}
    try:
        with transaction.atomic():
            _write(schedules)
    except Exception as whole:
        if availability.is_away(whole):
            raise
        # One row must not stop the others: write them one by one.
        for schedule in schedules:
            try:
                with transaction.atomic():
                    _write([schedule])
            except Exception as error:
                if availability.is_away(error):
                    raise
                broken[schedule.row.id] = _message(schedule.row, error)
    return broken


def _write(schedules: Sequence[_DueSchedule]) -> None:
    ticks = [(schedule, tick) for schedule in schedules for tick in schedule.ticks]
    if ticks:
        # (schedule, tick_key) is unique: no two clusters write the same tick.
        inserted = INSERT_TICKS.rows(
            ids=[uuid7() for _ in ticks],
            schedules=[schedule.row.name for schedule, _ in ticks],
            keys=[tick.key for _, tick in ticks],
            due_at=[tick.due_at for _, tick in ticks],
            outcomes=[str(tick.outcome) for _, tick in ticks],
            details=[json.dumps(tick.detail) for _, tick in ticks],
            decided_at=[schedule.now for schedule, _ in ticks],
        )
        _enqueue([str(tick_id) for tick_id, outcome in inserted if outcome == Tick.DUE])
    if schedules:
        SET_NEXT_RUN.execute(
            ids=[schedule.row.id for schedule in schedules],
            next_runs=[schedule.next_run for schedule in schedules],
        )


def _enqueue(tick_ids: Sequence[str]) -> None:
    # Thousands may be due at one moment: one task is for several ticks.
    for first in range(0, len(tick_ids), _TICKS_PER_TASK):
        queue.wake(queue.TICK, *tick_ids[first : first + _TICKS_PER_TASK])


def _message(row: ScheduleRow, error: Exception) -> str:
    return f"Schedule {row.name!r} (row {row.id}) can't be run: {error}"

"""The tick ledger: each due tick of each schedule that is on becomes exactly one row.

A schedule is a row of Django-Q2's table, read by the maintenance process of every cluster. A tick
is single because (schedule, tick_key) is unique in the ledger. For a cron with fixed hours the key
is the local date-time, so the hour that comes twice in autumn has one key; with ``*`` or ``*/n`` in
minute or hour it is the instant.

A tick is written with the outcome ``due``, in the transaction that sets the schedule's next run and
enqueues a task. The task decides the tick in the transaction of what it starts (``run_tick``).
While the tick is ``due`` it is enqueued again every ten seconds, so it is decided once, even if its
task is lost, doubled or late.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import InterfaceError, OperationalError, transaction

from governance.kernel import sql
from governance.kernel.identifiers import uuid7
from orbit import interrupts, queue
from orbit.schedules import rows
from orbit.schedules.cron import next_after
from orbit.schedules.plan import PlannedTick, plan
from orbit.schedules.rows import ScheduleRow
from orbit.states import Tick

LOST_AFTER = 10
_MOST_AT_ONCE, _TICKS_PER_TASK = 200, 20

LOCK_DUE = sql.load(__name__, "lock_due_schedules", schedule_columns=rows.COLUMNS)
INSERT_TICKS = sql.load(__name__, "insert_ticks")
SET_NEXT_RUN = sql.load(__name__, "set_next_run")
TAKE_LOST = sql.load(__name__, "take_lost_ticks")


@dataclass(frozen=True, slots=True)
class _DueSchedule:
    """A due schedule's ticks until ``now``, and when it is due next."""

    row: ScheduleRow
    ticks: list[PlannedTick]
    next_run: datetime
    now: datetime


def enqueue_due(now: datetime | None = None) -> list[str]:
    """Write the ticks that are due at ``now`` (None: the database's) and enqueue their tasks.

    Leaves schedules that another process has locked. A row that can't be read stops no other;
    returns one message for each of these.
    """
    broken: dict[int, str] = {}
    while True:
        interrupts.process.stamp()
        with transaction.atomic():
            locked = LOCK_DUE.rows(
                func=queue.TICK, now=now, broken=list(broken), most=_MOST_AT_ONCE
            )
            schedules: list[_DueSchedule] = []
            for *columns, moment in locked:
                row = rows.parse(*columns)
                try:
                    schedules.append(_plan(row, moment))
                except Exception as error:  # other programs write this table too
                    broken[row.id] = _message(row, error)
            broken |= _write_each(schedules)
        if len(locked) < _MOST_AT_ONCE:
            return list(broken.values())


def advance(row: ScheduleRow, now: datetime) -> None:
    """Write the ticks of ``row`` that are due at ``now``, and set its next run.

    The caller has locked the row. Raises CronInvalid.
    """
    _write([_plan(row, now)])


def enqueue_lost(now: datetime | None = None) -> int:
    """Enqueue again ticks that are still ``due`` after ten seconds; return how many."""
    with transaction.atomic():
        lost = [str(tick_id) for (tick_id,) in TAKE_LOST.rows(now=now, lost=LOST_AFTER)]
        _enqueue(lost)
    return len(lost)


def _plan(row: ScheduleRow, now: datetime) -> _DueSchedule:
    schedule = row.schedule
    ticks = plan(schedule, row.next_run, now) if row.next_run else []
    return _DueSchedule(row, ticks, next_after(schedule.cron, schedule.time_zone, now), now)


def _write_each(schedules: Sequence[_DueSchedule]) -> dict[int, str]:
    """Write all ``schedules`` at once, or one by one if that fails; return messages by row id."""
    broken: dict[int, str] = {}
    try:
        with transaction.atomic():
            _write(schedules)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        for schedule in schedules:
            try:
                with transaction.atomic():
                    _write([schedule])
            except (OperationalError, InterfaceError):
                raise
            except Exception as error:
                broken[schedule.row.id] = _message(schedule.row, error)
    return broken


def _write(schedules: Sequence[_DueSchedule]) -> None:
    ticks = [(schedule, tick) for schedule in schedules for tick in schedule.ticks]
    if ticks:
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

"""The tick ledger: each due tick of each schedule that is on becomes exactly one row, whatever becomes of it.

A schedule is a row of Django-Q2's table; keepers read it, any number of them. What keeps a tick single is the unique key of its row in
the ledger, (schedule, tick_key). For a schedule with fixed hours the key is the local date-time, so the hour that comes twice in autumn has
one key; with ``*`` or ``*/n`` in minute or hour it is the instant.

The row of a tick is written with outcome ``due`` in the transaction that moves its schedule on and enqueues its task. The task moves it
to its end in the transaction of what it starts (``perform``); while it is ``due`` it is enqueued again every ten seconds. So a task that is
lost, doubled or late starts what it should, once. Thousands that are due at one moment are written in bulk, and a task is for twenty of them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import InterfaceError, OperationalError, connection, transaction

from governance.kernel.identifiers import uuid7
from orbit import interrupts, queue
from orbit.schedules import rows
from orbit.schedules.cron import next_after
from orbit.schedules.plan import Planned, plan
from orbit.schedules.rows import Row
from orbit.states import Tick

LOST_AFTER = 10
_MOST_AT_ONCE, _FOR_ONE_TASK = 200, 20

DUE = f"""SELECT {rows.COLUMNS}, coalesce(%(now)s, now()) FROM django_q_schedule
WHERE func = %(func)s AND repeats <> 0 AND (next_run IS NULL OR next_run <= coalesce(%(now)s, now())) AND id <> ALL(%(broken)s::int[])
ORDER BY id LIMIT %(most)s FOR UPDATE SKIP LOCKED"""
INSERT = """INSERT INTO orbit_crontick (id, schedule, tick_key, due_at, outcome, detail, decided_at)
SELECT x.id, x.schedule, x.key, x.due_at, x.outcome, x.detail::jsonb, CASE WHEN x.outcome <> 'due' THEN x.now END
FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::timestamptz[], %s::text[], %s::text[], %s::timestamptz[])
    AS x(id, schedule, key, due_at, outcome, detail, now)
ON CONFLICT (schedule, tick_key) DO NOTHING RETURNING id, outcome"""
MOVE = """UPDATE django_q_schedule AS q SET next_run = x.next_run FROM unnest(%s::int[], %s::timestamptz[]) AS x(id, next_run) WHERE q.id = x.id"""
LOST = """UPDATE orbit_crontick SET detail = jsonb_set(detail, '{enqueued_at}', to_jsonb(coalesce(%(now)s, now())))
WHERE id IN (SELECT id FROM orbit_crontick WHERE outcome = 'due'
    AND coalesce((detail->>'enqueued_at')::timestamptz, created_at) < coalesce(%(now)s, now()) - %(lost)s * interval '1 second'
    ORDER BY created_at LIMIT 100 FOR UPDATE SKIP LOCKED) RETURNING id"""


@dataclass(frozen=True, slots=True)
class _Move:
    """What a schedule's ticks came to until ``now``, and when it is due next."""

    row: Row
    ticks: list[Planned]
    next_run: datetime
    now: datetime


def enqueue_due(now: datetime | None = None) -> list[str]:
    """Write the ticks that are due until ``now`` (None: the database's) and enqueue tasks for those that are to run.

    Schedules that another keeper is at are left to it. Returns a line for each row that can't be read; it stops no other row.
    """
    broken: dict[int, str] = {}
    while True:
        interrupts.process.stamp()
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                DUE, {"func": queue.TICK, "now": now, "broken": list(broken), "most": _MOST_AT_ONCE}
            )
            found = cursor.fetchall()
            moves: list[_Move] = []
            for *columns, moment in found:
                row = rows.parse(*columns)
                try:
                    moves.append(_reckon(row, moment))
                except Exception as error:
                    # Whatever stands in a row, it must not stop the others.
                    broken[row.id] = _complaint(row, error)
            broken |= _write_each(moves)
        if len(found) < _MOST_AT_ONCE:
            return list(broken.values())


def advance(row: Row, now: datetime) -> None:
    """Write the ticks of ``row``, which the caller has locked, that are due until ``now``, and set its next run. Raises CronInvalid."""
    _write([_reckon(row, now)])


def enqueue_lost(now: datetime | None = None) -> int:
    """Enqueue again the ticks that have been ``due`` for ten seconds, each at most every ten seconds; return how many."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(LOST, {"now": now, "lost": LOST_AFTER})
        lost = [str(tick) for (tick,) in cursor.fetchall()]
        _wake(lost)
    return len(lost)


def _reckon(row: Row, now: datetime) -> _Move:
    schedule = row.schedule
    ticks = plan(schedule, row.next_run, now) if row.next_run else []
    return _Move(row, ticks, next_after(schedule.cron, schedule.time_zone, now), now)


def _write_each(moves: Sequence[_Move]) -> dict[int, str]:
    """Write all of ``moves``, or each by itself where one of them can't be; return what to say of those."""
    broken: dict[int, str] = {}
    try:
        with transaction.atomic():
            _write(moves)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        for move in moves:
            try:
                with transaction.atomic():
                    _write([move])
            except (OperationalError, InterfaceError):
                raise
            except Exception as error:
                broken[move.row.id] = _complaint(move.row, error)
    return broken


def _write(moves: Sequence[_Move]) -> None:
    values = [
        (
            uuid7(),
            move.row.name,
            tick.key,
            tick.due_at,
            str(tick.outcome),
            json.dumps(tick.detail),
            move.now,
        )
        for move in moves
        for tick in move.ticks
    ]
    with connection.cursor() as cursor:
        if values:
            cursor.execute(INSERT, [list(column) for column in zip(*values, strict=True)])
            _wake([str(made) for made, outcome in cursor.fetchall() if outcome == Tick.DUE])
        if moves:
            cursor.execute(
                MOVE, [[move.row.id for move in moves], [move.next_run for move in moves]]
            )


def _wake(ticks: Sequence[str]) -> None:
    for first in range(0, len(ticks), _FOR_ONE_TASK):
        queue.wake(queue.TICK, *ticks[first : first + _FOR_ONE_TASK])


def _complaint(row: Row, error: Exception) -> str:
    return f"Schedule {row.name!r} (row {row.id}) can't be run: {error}"

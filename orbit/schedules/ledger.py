"""The tick ledger: each due tick of each schedule that is on becomes exactly one row, whatever becomes of it.

A schedule is a row of Django-Q2's table; keepers read it, any number of them. What keeps a tick single is the unique key of its row in
the ledger, (schedule, tick_key). For a schedule with fixed hours the key is the local date-time, so the hour that comes twice in autumn has
one key; with ``*`` or ``*/n`` in minute or hour it is the instant.

The row of a tick is written with outcome ``due`` in the transaction that moves its schedule on and enqueues its task. The task moves it
to its end in the transaction of what it starts (``perform``); while it is ``due`` it is enqueued again every ten seconds. So a task that is
lost, doubled or late starts what it should, once.
"""

import json
from datetime import datetime

from django.db import InterfaceError, OperationalError, connection, transaction

from governance.kernel.identifiers import uuid7
from orbit import boundary, queue
from orbit.models import CronTick
from orbit.schedules import rows
from orbit.schedules.cron import next_after
from orbit.schedules.plan import plan
from orbit.schedules.rows import Row
from orbit.states import Tick

LOST_AFTER = 10
_MOST_AT_ONCE = 200

DUE = f"""SELECT {rows.COLUMNS}, coalesce(%(now)s, now()) FROM django_q_schedule
WHERE func = %(func)s AND repeats <> 0 AND (next_run IS NULL OR next_run <= coalesce(%(now)s, now())) AND id <> ALL(%(broken)s::int[])
ORDER BY id LIMIT %(most)s FOR UPDATE SKIP LOCKED"""
INSERT = """INSERT INTO orbit_crontick (id, schedule, tick_key, due_at, outcome, detail) VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (schedule, tick_key) DO NOTHING RETURNING id"""
LOST = """UPDATE orbit_crontick SET detail = jsonb_set(detail, '{enqueued_at}', to_jsonb(coalesce(%(now)s, now())))
WHERE id IN (SELECT id FROM orbit_crontick WHERE outcome = 'due'
    AND coalesce((detail->>'enqueued_at')::timestamptz, created_at) < coalesce(%(now)s, now()) - %(lost)s * interval '1 second'
    ORDER BY created_at LIMIT 100 FOR UPDATE SKIP LOCKED) RETURNING id"""


def enqueue_due(now: datetime | None = None) -> list[str]:
    """Write the ticks that are due until ``now`` (None: the database's) and enqueue a task for each that is to run.

    Schedules that another keeper is at are left to it. Returns a line for each row that can't be read; it stops no other row.
    """
    broken: dict[int, str] = {}
    while True:
        boundary.process.stamp()
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(DUE, {"func": queue.TICK, "now": now, "broken": list(broken), "most": _MOST_AT_ONCE})
            found = cursor.fetchall()
            for *columns, moment in found:
                row = rows.parse(*columns)
                try:
                    with transaction.atomic():
                        advance(row, moment)
                except (OperationalError, InterfaceError):
                    raise
                except Exception as error:
                    # Whatever stands in a row, it must not stop the others.
                    broken[row.id] = f"Schedule {row.name!r} (row {row.id}) can't be run: {error}"
        if len(found) < _MOST_AT_ONCE:
            return list(broken.values())


def advance(row: Row, now: datetime) -> None:
    """Write the ticks of ``row``, which the caller has locked, that are due until ``now``, and set its next run. Raises CronInvalid."""
    schedule = row.schedule
    ticks = plan(schedule, row.next_run, now) if row.next_run else []
    CronTick.objects.bulk_create(
        [
            CronTick(id=uuid7(), schedule=schedule.name, tick_key=tick.key, due_at=tick.due_at, outcome=tick.outcome, detail=tick.detail, decided_at=now)
            for tick in ticks
            if tick.outcome != Tick.DUE
        ],
        ignore_conflicts=True,
    )
    with connection.cursor() as cursor:
        for tick in ticks:
            if tick.outcome == Tick.DUE:
                cursor.execute(INSERT, [uuid7(), schedule.name, tick.key, tick.due_at, tick.outcome, json.dumps(tick.detail)])
                if made := cursor.fetchone():
                    queue.wake(queue.TICK, str(made[0]))
        cursor.execute("UPDATE django_q_schedule SET next_run = %s WHERE id = %s", [next_after(schedule.cron, schedule.time_zone, now), row.id])


def enqueue_lost(now: datetime | None = None) -> int:
    """Enqueue again the ticks that have been ``due`` for ten seconds, each at most every ten seconds; return how many."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(LOST, {"now": now, "lost": LOST_AFTER})
        lost = [str(tick) for (tick,) in cursor.fetchall()]
        for tick in lost:
            queue.wake(queue.TICK, tick)
    return len(lost)

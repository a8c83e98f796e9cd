"""Ticks: when a schedule is due, and what is done then.

A schedule is a row of Django-Q2's table; keepers read it, any number of them. What keeps a tick single is the unique key of its row in
the ledger, (schedule, tick_key). For a schedule with fixed hours the key is the local date-time: the hour that comes twice in autumn has
one key, and the one that is missing in spring fires at the next valid minute. With ``*`` or ``*/n`` in minute or hour every real minute
counts, and the key is the instant.

The row of a tick is written with outcome ``due`` in the transaction that moves its schedule on and enqueues its task. The task moves it
to its end in the transaction of what it starts; while it is ``due`` it is enqueued again every ten seconds. So a task that is lost,
doubled or late starts what it should, once.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import chain, islice, takewhile
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from django.db import InterfaceError, OperationalError, connection, transaction

from governance.access.actors import SYSTEM
from governance.kernel.errors import Kind, OrbitError
from governance.kernel.identifiers import uuid7
from orbit import queue
from orbit.cycles import orchestrate, trigger
from orbit.cycles.orchestrate import Outcome
from orbit.errors import CycleActive
from orbit.models import CronTick
from orbit.states import Tick, Trigger

CYCLES = "cycles"
ON_TIME = timedelta(seconds=60)
LOST_AFTER = 10
MOST_MISSED = 100
MOST_RESULTS = 100

SCHEDULES = "SELECT DISTINCT ON (name) name, id, kwargs FROM django_q_schedule WHERE func = %s ORDER BY name, id"
ADD = """INSERT INTO django_q_schedule (name, func, schedule_type, cron, repeats, kwargs, next_run)
VALUES (%(name)s, %(func)s, 'C', %(cron)s, %(repeats)s, %(kwargs)s, NULL)"""
TAKE_OVER = "UPDATE django_q_schedule SET cron = %(cron)s, repeats = %(repeats)s, kwargs = %(kwargs)s, next_run = NULL WHERE id = %(id)s"
ADJUST = "UPDATE django_q_schedule SET kwargs = %(kwargs)s, next_run = CASE WHEN %(moved)s THEN NULL ELSE next_run END WHERE id = %(id)s"
# A time before 1970 would be none that every reader can hold.
DUE = """SELECT id, name, cron, kwargs,
    CASE WHEN next_run IS NOT NULL THEN greatest(next_run, to_timestamp(0)) END, coalesce(%(now)s, now()) FROM django_q_schedule
WHERE func = %(func)s AND repeats <> 0 AND (next_run IS NULL OR next_run <= coalesce(%(now)s, now())) ORDER BY id FOR UPDATE SKIP LOCKED"""
INSERT = """INSERT INTO orbit_crontick (id, schedule, tick_key, due_at, outcome, detail) VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (schedule, tick_key) DO NOTHING RETURNING id"""
LOST = """UPDATE orbit_crontick SET detail = jsonb_set(detail, '{enqueued_at}', to_jsonb(coalesce(%(now)s, now())))
WHERE id IN (SELECT id FROM orbit_crontick WHERE outcome = 'due'
    AND coalesce((detail->>'enqueued_at')::timestamptz, created_at) < coalesce(%(now)s, now()) - %(lost)s * interval '1 second'
    ORDER BY created_at LIMIT 100 FOR UPDATE SKIP LOCKED) RETURNING id"""
TAKE = "SELECT schedule, detail, coalesce(%s, now()) FROM orbit_crontick WHERE id = %s AND outcome = 'due' FOR UPDATE SKIP LOCKED"
DECIDE = "UPDATE orbit_crontick SET outcome = %s, detail = detail || %s, decided_at = now() WHERE id = %s AND outcome = 'due'"


class CronInvalid(OrbitError):
    """This is no cron expression of five fields that ever comes true."""

    code, kind = "invalid_cron", Kind.INVALID


@dataclass(frozen=True, slots=True)
class Schedule:
    """Periodic work as the environment asks for it. An empty ``cron`` is off; ``on_missed`` is once or skip; ``max_lateness`` in seconds."""

    name: str
    cron: str
    time_zone: str
    on_missed: str = "once"
    max_lateness: int = 3600


@dataclass(frozen=True, slots=True)
class Planned:
    """A row that the ledger is to get."""

    key: str
    due_at: datetime
    outcome: Tick
    detail: dict[str, Any] = field(default_factory=dict)


def occurrences(cron: str, zone: str, after: datetime) -> Iterator[datetime]:
    """Yield the moments after ``after`` at which ``cron`` is true in ``zone``, in UTC, each later than the one before.

    Raises CronInvalid for anything but five fields, and for an expression that never comes true.
    """
    if len(cron.split()) != 5:
        raise CronInvalid(f"{cron!r} has not five fields: minute, hour, day, month, weekday.")
    last = after
    try:
        # With fixed hours the arithmetic is local: in the hour that comes twice it gives moments that are past. They had their turn.
        for moment in CronSim(cron, after.astimezone(ZoneInfo(zone))):
            if moment.astimezone(UTC) > last:
                last = moment.astimezone(UTC)
                yield last
    except (CronSimError, AssertionError, TypeError, ValueError) as error:
        raise CronInvalid(f"{cron!r} is no cron expression: {error}.") from error
    raise CronInvalid(f"{cron!r} doesn't come true within fifty years.")


def next_after(cron: str, zone: str, after: datetime) -> datetime:
    """Return the first moment after ``after`` at which ``cron`` is true. Raises CronInvalid."""
    return next(occurrences(cron, zone, after))


def tick_key(cron: str, zone: str, moment: datetime) -> str:
    """Return what names the tick of ``moment`` on every cluster: the local date-time, or the instant where minute or hour is a ``*``."""
    minute, hour = cron.split()[:2]
    if minute.startswith("*") or hour.startswith("*"):
        return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M}Z"
    return f"{moment.astimezone(ZoneInfo(zone)):%Y-%m-%dT%H:%M}"


def plan(schedule: Schedule, first: datetime, now: datetime) -> list[Planned]:
    """Decide what became of the ticks from ``first``, the one that was awaited, until ``now``.

    The newest one runs; if it is late, as the one catch-up of this outage, or not at all where ``on_missed`` or ``max_lateness`` say
    so. Those before it were missed: a row each, or one row from-to where there are more than a hundred.
    """
    def row(moment: datetime, outcome: Tick, **detail: Any) -> Planned:
        return Planned(tick_key(schedule.cron, schedule.time_zone, moment), moment, outcome, detail)

    later = occurrences(schedule.cron, schedule.time_zone, first)
    times = list(islice(takewhile(lambda moment: moment <= now, chain([first], later)), MOST_MISSED + 2))
    if len(times) <= MOST_MISSED + 1:
        newest = times[-1]
        rows = [row(moment, Tick.MISSED) for moment in times[:-1]]
    else:
        newest = _newest(schedule, first, now)
        key = "/".join(tick_key(schedule.cron, schedule.time_zone, moment) for moment in (first, newest))
        rows = [Planned(key, first, Tick.MISSED, {"from": first.isoformat(), "until": newest.isoformat()})]
    late = now - newest
    catch_up: dict[str, Any] = {"catch_up": True, "late_seconds": round(late.total_seconds())} if rows or late > ON_TIME else {}
    expires = newest + timedelta(seconds=schedule.max_lateness)
    if now > expires:
        return [*rows, row(newest, Tick.LATE, max_lateness=schedule.max_lateness, **catch_up)]
    if catch_up and schedule.on_missed == "skip":
        return [*rows, row(newest, Tick.MISSED)]
    return [*rows, row(newest, Tick.DUE, expires_at=expires.isoformat(), **catch_up)]


def _newest(schedule: Schedule, first: datetime, now: datetime) -> datetime:
    """Return the last tick until ``now``, looked for in a window that grows: a year of minutes is never walked through."""
    window = timedelta(hours=1)
    while True:
        start = max(first, now - window)
        found = list(takewhile(lambda moment: moment <= now, occurrences(schedule.cron, schedule.time_zone, start)))
        if found or start == first:
            return found[-1] if found else first
        window *= 20


def sync(schedules: Sequence[Schedule]) -> None:
    """Bring the rows to what the environment asks for, without undoing what a person changed.

    Each row keeps, in ``kwargs``, what the environment asked for when it was last written. While that is what it asks for now, a cron
    that was edited, or a schedule that was switched off (``repeats`` 0), stays so; once the environment asks for another cron, it wins.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('orbit.schedules'))")
        cursor.execute(SCHEDULES, [queue.TICK])
        rows = {name: (row, kwargs) for name, row, kwargs in cursor.fetchall()}
        for schedule in schedules:
            values = {"name": schedule.name, "func": queue.TICK, "cron": schedule.cron, "repeats": -1 if schedule.cron else 0,
                      "kwargs": json.dumps(asdict(schedule), sort_keys=True)}
            if schedule.name not in rows:
                cursor.execute(ADD, values)
                continue
            row, kwargs = rows[schedule.name]
            before = _asked(kwargs)
            if before is None or before.cron != schedule.cron:
                cursor.execute(TAKE_OVER, {**values, "id": row})
            elif before != schedule:
                cursor.execute(ADJUST, {**values, "id": row, "moved": before.time_zone != schedule.time_zone})


def enqueue_due(now: datetime | None = None) -> list[str]:
    """Write the ticks that are due until ``now`` (None: the database's) and enqueue a task for each that is to run.

    Schedules that another keeper is at are left to it. Returns a line for each row that can't be read; it stops no other row.
    """
    broken = []
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(DUE, {"func": queue.TICK, "now": now})
        for row, name, cron, kwargs, next_run, moment in cursor.fetchall():
            try:
                with transaction.atomic():
                    _advance(row, name, cron, kwargs, next_run, moment)
            except (OperationalError, InterfaceError):
                raise
            except Exception as error:
                # Whatever stands in a row, it must not stop the others.
                broken.append(f"Schedule {name!r} (row {row}) can't be run: {error}")
    return broken


def _advance(row: int, name: str, cron: str, kwargs: str, next_run: datetime | None, now: datetime) -> None:
    asked = _asked(kwargs)
    if asked is None or not name or not cron:
        raise CronInvalid("it has no name, no cron, or kwargs that aren't Orbit's. Switch it off, or give it a cron.")
    schedule = replace(asked, name=name, cron=cron)
    rows = plan(schedule, next_run, now) if next_run else []
    CronTick.objects.bulk_create(
        [CronTick(id=uuid7(), schedule=name, tick_key=tick.key, due_at=tick.due_at, outcome=tick.outcome, detail=tick.detail, decided_at=now)
         for tick in rows if tick.outcome != Tick.DUE], ignore_conflicts=True)
    with connection.cursor() as cursor:
        for tick in rows:
            if tick.outcome == Tick.DUE:
                cursor.execute(INSERT, [uuid7(), name, tick.key, tick.due_at, tick.outcome, json.dumps(tick.detail)])
                if made := cursor.fetchone():
                    queue.wake(queue.TICK, str(made[0]))
        cursor.execute("UPDATE django_q_schedule SET next_run = %s WHERE id = %s", [next_after(cron, schedule.time_zone, now), row])


def _asked(kwargs: str | None) -> Schedule | None:
    try:
        return Schedule(**json.loads(kwargs or ""))
    except (ValueError, TypeError):
        return None


def enqueue_lost(now: datetime | None = None) -> int:
    """Enqueue again the ticks that have been ``due`` for ten seconds, each at most every ten seconds; return how many."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(LOST, {"now": now, "lost": LOST_AFTER})
        lost = [str(tick) for (tick,) in cursor.fetchall()]
        for tick in lost:
            queue.wake(queue.TICK, tick)
    return len(lost)


def perform(tick_id: UUID, *, now: datetime | None = None) -> None:
    """Do what the tick is for and put its outcome on record, in one transaction.

    Nothing happens where it has its outcome, where another worker is at it, or where it belongs to a schedule that only a newer release
    knows. After a crash it is ``due`` as before; once it is later than its schedule allows, it ends as ``late``.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(TAKE, [now, tick_id])
        row = cursor.fetchone()
        if row is None:
            return
        name, detail, moment = row
        detail = json.loads(detail)
        if "expires_at" in detail and moment > datetime.fromisoformat(detail["expires_at"]):
            outcome, found = Tick.LATE, {"detail": "No worker came to it in time."}
        elif name == CYCLES:
            outcome, found = _start_cycles()
        else:
            return
        cursor.execute(DECIDE, [outcome, json.dumps(found, default=str), tick_id])


def _start_cycles() -> tuple[Tick, dict[str, Any]]:
    if outcomes := orchestrate.all_enabled(source=Trigger.CRON, actor=SYSTEM):
        return _verdict(outcomes)
    try:
        started = trigger.start(namespace="default", source=Trigger.CRON, actor=SYSTEM)
    except OrbitError as error:
        return (Tick.SKIPPED if isinstance(error, CycleActive) else Tick.REFUSED), {"code": error.code, "detail": error.detail, **error.extra}
    return Tick.STARTED, {"cycle_run_id": started.cycle_id}


def _verdict(outcomes: Sequence[Outcome]) -> tuple[Tick, dict[str, Any]]:
    counts = Counter(one.outcome for one in outcomes)
    tick = Tick.STARTED if counts["started"] else Tick.SKIPPED if counts["skipped"] else Tick.REFUSED
    return tick, {"outcomes": dict(counts), "results": [asdict(one) for one in outcomes[:MOST_RESULTS]]}

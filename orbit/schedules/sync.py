"""The rows of the schedules follow what the environment and the run profiles ask for, without undoing what a person changed.

A run profile that is enabled, and whose profile is, has a schedule of its own where its policy names a cron. One that is disabled, hidden or
loses its cron has its schedule switched off; the row, and its ticks, stay. What was due before a change is in the ledger before it.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from orbit import interrupts, queue
from orbit.schedules import ledger, rows
from orbit.schedules.cron import CronInvalid
from orbit.schedules.plan import Schedule
from orbit.schedules.rows import OF_RUN_PROFILE, Row

_MOST_AT_ONCE = 500

ALONE = "SELECT pg_advisory_xact_lock(hashtext('orbit.schedules')), coalesce(%s, now())"
READ = f"""SELECT DISTINCT ON (name) {rows.COLUMNS} FROM django_q_schedule
WHERE func = %s AND (name = ANY(%s) OR starts_with(name, %s)) ORDER BY name, id"""
LOCK = f"SELECT {rows.COLUMNS} FROM django_q_schedule WHERE id = %s FOR UPDATE"
ADD = """INSERT INTO django_q_schedule (name, func, schedule_type, cron, repeats, kwargs, next_run)
SELECT x.name, %s, 'C', x.cron, x.repeats, x.kwargs, NULL FROM unnest(%s::text[], %s::text[], %s::int[], %s::text[]) AS x(name, cron, repeats, kwargs)"""
WRITE = """UPDATE django_q_schedule SET cron = %(cron)s, repeats = %(repeats)s, kwargs = %(kwargs)s,
    next_run = CASE WHEN %(moved)s THEN NULL ELSE next_run END WHERE id = %(id)s"""

# What run profiles ask for changes only where this does: a reading that costs little however large the documents are.
STATE = """SELECT (SELECT sum(hashtextextended(concat_ws('|', run_profile_id, profile_id, revision, hidden, state, updated_at), 0)) FROM orbit_runprofile),
    (SELECT sum(hashtextextended(concat_ws('|', id, hidden, state), 0)) FROM orbit_profile)"""
ASKED = """SELECT r.run_profile_id, r.document #>> '{execution_policy,cron}', r.document #>> '{execution_policy,time_zone}',
    r.document #>> '{execution_policy,on_missed}', (r.document #>> '{execution_policy,max_lateness}')::numeric::int
FROM orbit_runprofile r JOIN orbit_profile p ON p.id = r.profile_id
WHERE NOT r.hidden AND NOT p.hidden AND r.state = 'enabled' AND p.state = 'enabled' AND r.document #>> '{execution_policy,cron}' <> ''
ORDER BY r.run_profile_id"""


def sync(
    schedules: Sequence[Schedule], *, family: str = "\x01", now: datetime | None = None
) -> bool:
    """Bring the rows to what ``schedules`` ask for; those of ``family`` (a prefix of names) that aren't asked for are switched off.

    ``now`` None is the database's. At most five hundred rows are written; tells whether that was all.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(ALONE, [now])
        now = cursor.fetchone()[1]
        cursor.execute(READ, [queue.TICK, [schedule.name for schedule in schedules], family])
        found = {row.name: row for row in (rows.parse(*columns) for columns in cursor.fetchall())}
        wanted = {schedule.name: schedule for schedule in schedules} | _unwanted(
            found, {schedule.name for schedule in schedules}, family
        )
        changes = [
            name
            for name, asked in wanted.items()
            if rows.settle(asked, found.get(name)) is not None
        ]
        for number, name in enumerate(changes[:_MOST_AT_ONCE]):
            if number % 50 == 0:
                interrupts.process.stamp()
            if name in found:
                _write(found[name].id, wanted[name], now)
        _add([wanted[name] for name in changes[:_MOST_AT_ONCE] if name not in found])
        return len(changes) <= _MOST_AT_ONCE


def lock(row_id: int, now: datetime) -> Row:
    """Lock the row and return it; what was due of it until ``now`` is in the ledger then."""
    with connection.cursor() as cursor:
        cursor.execute(LOCK, [row_id])
        row = rows.parse(*cursor.fetchone())
    if row.on and row.next_run is not None and row.next_run <= now:
        # One that can't be read has no ticks; what is written over it mends it.
        with suppress(CronInvalid), transaction.atomic():
            ledger.advance(row, now)
    return row


def put(row_id: int, columns: Mapping[str, Any]) -> None:
    """Write the columns of a row that the caller has locked; its next run is reckoned anew."""
    with connection.cursor() as cursor:
        cursor.execute(WRITE, {**columns, "moved": True, "id": row_id})


class RunProfiles:
    """Follows the run profiles: looks whether what they ask for may have changed, and only then reads it."""

    def __init__(self, time_zone: str) -> None:
        """``time_zone`` is that of crons which name none."""
        self._time_zone = time_zone
        self._seen: tuple[Any, ...] | None = None

    def follow(self) -> None:
        """Bring the rows to what the run profiles ask for now."""
        with connection.cursor() as cursor:
            cursor.execute(STATE)
            state = cursor.fetchone()
            if state == self._seen:
                return
        with transaction.atomic(), connection.cursor() as cursor:
            # Before it is read: two keepers must not write in another order than they read.
            cursor.execute(ALONE, [None])
            cursor.execute(ASKED)
            if sync(
                [self._schedule(*columns) for columns in cursor.fetchall()], family=OF_RUN_PROFILE
            ):
                self._seen = state

    def _schedule(
        self,
        run_profile_id: str,
        cron: str,
        time_zone: str | None,
        on_missed: str | None,
        max_lateness: int | None,
    ) -> Schedule:
        policy: dict[str, Any] = {"on_missed": on_missed, "max_lateness": max_lateness}
        given = {key: value for key, value in policy.items() if value is not None}
        return Schedule(
            OF_RUN_PROFILE + run_profile_id, cron, time_zone or self._time_zone, **given
        )


def _write(row_id: int, asked: Schedule, now: datetime) -> None:
    """Have the row ask for ``asked``, as it stands once it is locked."""
    columns = rows.settle(asked, lock(row_id, now))
    if columns is not None:
        with connection.cursor() as cursor:
            cursor.execute(WRITE, {**columns, "id": row_id})


def _unwanted(found: Mapping[str, Row], wanted: set[str], family: str) -> dict[str, Schedule]:
    """Return, for each row of the family that isn't asked for, the schedule that is off."""
    zones = {
        name: row.asked.time_zone if row.asked else "UTC"
        for name, row in found.items()
        if name.startswith(family) and name not in wanted
    }
    return {name: Schedule(name, "", zone) for name, zone in zones.items()}


def _add(new: Sequence[Schedule]) -> None:
    if new:
        made = [rows.columns(asked, None) for asked in new]
        values = [
            [asked.name for asked in new],
            *([columns[key] for columns in made] for key in ("cron", "repeats", "kwargs")),
        ]
        with connection.cursor() as cursor:
            cursor.execute(ADD, [queue.TICK, *values])

"""Keep the schedules' rows as environment, run profiles and users' overrides ask."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from django.db import transaction

from governance.kernel import sql
from orbit import interrupts, queue
from orbit.schedules import ledger, rows
from orbit.schedules.cron import CronInvalid
from orbit.schedules.plan import Schedule
from orbit.schedules.rows import OF_RUN_PROFILE, ScheduleRow

MOST_AT_ONCE = 500
_HEARTBEAT_EVERY = 50
#: After this time look at every row again, whatever the version says.
LOOK_AGAIN_SECONDS = 60.0
_NO_FAMILY = "\x01"  # no name starts with it

LOCK_ALL = sql.load(__name__, "lock_all_schedules")
READ = sql.load(__name__, "read_schedules", schedule_columns=rows.COLUMNS)
LOCK = sql.load(__name__, "lock_schedule", schedule_columns=rows.COLUMNS)
INSERT = sql.load(__name__, "insert_schedules")
UPDATE = sql.load(__name__, "update_schedule")
RUN_PROFILES_VERSION = sql.load(__name__, "run_profiles_version")
RUN_PROFILE_CRONS = sql.load(__name__, "run_profile_crons")


def sync(
    schedules: Sequence[Schedule], *, family: str = _NO_FAMILY, now: datetime | None = None
) -> bool:
    """Write ``schedules``; switch off others whose name starts with ``family``.

    Writes 500 rows at most; returns whether that was all.
    """
    with transaction.atomic():
        now = _lock_all(now)
        configured = {schedule.name: schedule for schedule in schedules}
        stored = READ.rows(func=queue.TICK, names=list(configured), family=family)
        existing = {row.name: row for row in (rows.parse(*columns) for columns in stored)}
        # A run profile that lost its cron keeps its row and its ticks, switched off.
        configured |= _switched_off(existing, set(configured), family)
        changes = [
            name
            for name, schedule in configured.items()
            if rows.reconcile(schedule, existing.get(name)) is not None
        ]
        for number, name in enumerate(changes[:MOST_AT_ONCE]):
            if number % _HEARTBEAT_EVERY == 0:
                interrupts.process.stamp()
            if name in existing:
                _update(existing[name].id, configured[name], now)
        _insert([configured[name] for name in changes[:MOST_AT_ONCE] if name not in existing])
        return len(changes) <= MOST_AT_ONCE


def lock(row_id: int, now: datetime) -> ScheduleRow:
    """Lock and return the row; write its due ticks first."""
    (columns,) = LOCK.rows(id=row_id)
    row = rows.parse(*columns)
    if row.on and row.next_run is not None and row.next_run <= now:
        # A row that can't be read has no ticks, and what is written over it repairs it.
        with suppress(CronInvalid), transaction.atomic():
            ledger.advance(row, now)
    return row


def write(row_id: int, columns: Mapping[str, Any]) -> None:
    """Write a locked row's columns; its next run is computed again."""
    UPDATE.execute(**{**columns, "moved": True, "id": row_id})


class RunProfileSchedules:
    """The schedules of run profiles.

    Reads documents only if they or the schedules' rows may have changed, and once a minute.
    """

    def __init__(self, time_zone: str) -> None:
        """``time_zone`` applies to crons that name none."""
        self._time_zone = time_zone
        self._version: tuple[Any, ...] | None = None
        self._look_again_at = 0.0

    def follow(self) -> None:
        """Write the rows that the run profiles ask for."""
        version = self._read_version()
        if version == self._version and time.monotonic() < self._look_again_at:
            return
        with transaction.atomic():
            # Lock before reading: another process could write what it read later first.
            _lock_all(None)
            schedules = [self._schedule(*columns) for columns in RUN_PROFILE_CRONS.rows()]
            complete = sync(schedules, family=OF_RUN_PROFILE)
            # Of the run profiles as they were before the look, of the schedules as it left them.
            *_, schedules_version = self._read_version()
        if complete:
            self._version = (*version[:-1], schedules_version)
            self._look_again_at = time.monotonic() + LOOK_AGAIN_SECONDS

    def _read_version(self) -> tuple[Any, ...]:
        (version,) = RUN_PROFILES_VERSION.send(func=queue.TICK, family=OF_RUN_PROFILE)
        return version

    def _schedule(
        self,
        run_profile_id: str,
        cron: str,
        time_zone: str | None,
        on_missed: str | None,
        max_lateness: int | None,
    ) -> Schedule:
        policy: dict[str, Any] = {"on_missed": on_missed, "max_lateness": max_lateness}
        return Schedule(
            OF_RUN_PROFILE + run_profile_id,
            cron,
            time_zone or self._time_zone,
            **{key: value for key, value in policy.items() if value is not None},
        )


def _lock_all(now: datetime | None) -> datetime:
    moment: datetime
    ((_, moment),) = LOCK_ALL.rows(now=now)
    return moment


def _update(row_id: int, configured: Schedule, now: datetime) -> None:
    # Another override may have been committed meanwhile: decide on the locked row.
    columns = rows.reconcile(configured, lock(row_id, now))
    if columns is not None:
        UPDATE.execute(**columns, id=row_id)


def _switched_off(
    existing: Mapping[str, ScheduleRow], configured: set[str], family: str
) -> dict[str, Schedule]:
    """Return a schedule that is off for each unconfigured row."""
    return {
        name: Schedule(name, "", row.configured.time_zone if row.configured else "UTC")
        for name, row in existing.items()
        if name.startswith(family) and name not in configured
    }


def _insert(schedules: Sequence[Schedule]) -> None:
    if schedules:
        columns = [rows.columns(schedule, None) for schedule in schedules]
        INSERT.execute(
            func=queue.TICK,
            names=[schedule.name for schedule in schedules],
            crons=[values["cron"] for values in columns],
            repeats=[values["repeats"] for values in columns],
            kwargs=[values["kwargs"] for values in columns],
        )

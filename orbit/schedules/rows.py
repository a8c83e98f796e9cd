"""A schedule's row in Django-Q2's table.

``cron`` and ``repeats`` (0: off) say what runs. ``kwargs`` keeps the configured schedule and a
user's override.
"""

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Concat

from governance.access.actors import Actor
from governance.kernel import sql
from orbit import queue
from orbit.models import RunProfile
from orbit.schedules.cron import CronInvalid
from orbit.schedules.plan import Schedule

CYCLES, RUN_PROFILES = "cycles", "run-profiles"
#: The schedule of a run profile's own cron is named this, followed by the run profile's id.
OF_RUN_PROFILE = "run-profile:"
#: The columns that ``parse`` takes.
COLUMNS = sql.fragment(__name__, "schedule_columns")

# The override's key in the stored JSON. Rows of installed releases hold it.
_OVERRIDE = "person"


@dataclass(frozen=True, slots=True)
class ScheduleOverride:
    """A manual override: switched off, or another cron."""

    off: bool
    cron: str
    over: str  # the configured cron at that time
    by: str
    reason: str
    since: str  # an ISO date-time


@dataclass(frozen=True, slots=True)
class ScheduleRow:
    """A row as read."""

    id: int
    name: str
    cron: str
    on: bool
    next_run: datetime | None
    configured: Schedule | None  # None: Orbit did not write the row
    override: ScheduleOverride | None

    @property
    def schedule(self) -> Schedule:
        """The schedule that runs. Raises CronInvalid if the row holds none."""
        if self.configured is None or not self.name or not self.cron:
            raise CronInvalid(
                "it has no name, no cron, or kwargs that aren't Orbit's. "
                "Switch it off, or give it a cron."
            )
        return replace(self.configured, name=self.name, cron=self.cron)


def parse(
    row_id: int,
    name: str | None,
    cron: str | None,
    repeats: int,
    next_run: datetime | None,
    kwargs: str | None,
) -> ScheduleRow:
    """Return the row with these columns."""
    configured, override = _from_json(kwargs)
    return ScheduleRow(row_id, name or "", cron or "", repeats != 0, next_run, configured, override)


def reconcile(configured: Schedule, row: ScheduleRow | None) -> dict[str, Any] | None:
    """Return the columns that make ``row`` follow ``configured``, or None if it does."""
    before = row.configured if row else None
    override = row.override if row else None
    if row is None or before is None or before.cron != configured.cron:
        # The override's cron ends here. A schedule that a user switched off stays off.
        if override is not None and configured.cron and override.over != configured.cron:
            override = replace(override, cron="", over=configured.cron) if override.off else None
        return columns(configured, override) | {"moved": True}
    if before != configured:
        return {
            "cron": row.cron,
            "repeats": -1 if row.on else 0,
            "kwargs": _to_json(configured, override),
            # The next run has to be computed again.
            "moved": before.time_zone != configured.time_zone,
        }
    return None


def columns(configured: Schedule, override: ScheduleOverride | None) -> dict[str, Any]:
    """Return the columns of a row that runs ``configured`` with ``override``."""
    on = bool(configured.cron) and not (override and override.off)
    cron = (override.cron if override else "") or configured.cron
    return {
        "cron": cron if configured.cron else "",
        "repeats": -1 if on else 0,
        "kwargs": _to_json(configured, override),
    }


def visible(actor: Actor) -> "QuerySet[Any]":
    """Return the rows that ``actor`` sees."""
    return queue.schedules().filter(names_visible(actor, "name"))


def names_visible(actor: Actor, field: str) -> Q:
    """Return the condition that ``field`` names a visible schedule."""
    if actor.namespaces is None:
        return Q()
    run_profiles = RunProfile.objects.filter(actor.filter()).annotate(
        schedule=Concat(Value(OF_RUN_PROFILE), F("run_profile_id"))
    )
    return Q(Exists(run_profiles.filter(schedule=OuterRef(field))))


def _to_json(configured: Schedule, override: ScheduleOverride | None) -> str:
    stored = asdict(configured) | ({_OVERRIDE: asdict(override)} if override else {})
    return json.dumps(stored, sort_keys=True)


def _from_json(text: str | None) -> tuple[Schedule | None, ScheduleOverride | None]:
    try:
        stored = json.loads(text or "")
        override = stored.pop(_OVERRIDE, None)
        return Schedule(**stored), ScheduleOverride(**override) if override else None
    except (ValueError, TypeError, AttributeError):
        return None, None

"""A schedule's row in Django-Q2's table, and what of it belongs to whom.

The row's ``cron`` and ``repeats`` (0 is off) are what runs. Its ``kwargs`` hold, as JSON, what the configuration asked for when the row was
last written, and under ``person`` what somebody changed in the console since: that stays until they change it back. A cron of theirs gives
way once the configuration asks for another one than it did then; a schedule that they switched off stays off until they switch it on.
"""

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Concat

from governance.access.actors import Actor
from orbit import queue
from orbit.models import RunProfile
from orbit.schedules.cron import CronInvalid
from orbit.schedules.plan import Schedule

CYCLES, RUN_PROFILES = "cycles", "run-profiles"
#: Before the id of a run profile: the name of the schedule that its own cron is.
OF_RUN_PROFILE = "run-profile:"
#: What ``parse`` takes. A time before 1970, or beyond all calendars, would be none that every reader can hold.
COLUMNS = """id, name, cron, repeats,
    CASE WHEN next_run IS NOT NULL THEN least(greatest(next_run, to_timestamp(0)), to_timestamp(250000000000)) END, kwargs"""


@dataclass(frozen=True, slots=True)
class Change:
    """What a person made of a schedule: switched off, or given ``cron`` while the configuration asked for ``over``; by whom, why, since when."""

    off: bool
    cron: str
    over: str
    by: str
    reason: str
    since: str


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it was read: ``asked`` is None where it isn't one of ours."""

    id: int
    name: str
    cron: str
    on: bool
    next_run: datetime | None
    asked: Schedule | None
    person: Change | None

    @property
    def schedule(self) -> Schedule:
        """What runs. Raises CronInvalid for a row that can't be."""
        if self.asked is None or not self.name or not self.cron:
            raise CronInvalid(
                "it has no name, no cron, or kwargs that aren't Orbit's. Switch it off, or give it a cron."
            )
        return replace(self.asked, name=self.name, cron=self.cron)


def parse(
    row: int,
    name: str | None,
    cron: str | None,
    repeats: int,
    next_run: datetime | None,
    kwargs: str | None,
) -> Row:
    """Return the row of these columns."""
    asked, person = _kwargs(kwargs)
    return Row(row, name or "", cron or "", repeats != 0, next_run, asked, person)


def settle(asked: Schedule, row: Row | None) -> dict[str, Any] | None:
    """Return the columns that ``row`` (None: there is none) gets now that ``asked`` is asked for; None where it stays as it is.

    ``moved`` among them tells that its next run is to be reckoned anew.
    """
    before = row.asked if row else None
    person = row.person if row else None
    if row is None or before is None or before.cron != asked.cron:
        if person is not None and asked.cron and person.over != asked.cron:
            person = replace(person, cron="", over=asked.cron) if person.off else None
        return columns(asked, person) | {"moved": True}
    if before != asked:
        moved = before.time_zone != asked.time_zone
        return {
            "cron": row.cron,
            "repeats": -1 if row.on else 0,
            "kwargs": written(asked, person),
            "moved": moved,
        }
    return None


def columns(asked: Schedule, person: Change | None) -> dict[str, Any]:
    """Return what runs where ``asked`` is asked for and ``person`` changed something."""
    on = bool(asked.cron) and not (person and person.off)
    cron = (person.cron if person else "") or asked.cron
    return {
        "cron": cron if asked.cron else "",
        "repeats": -1 if on else 0,
        "kwargs": written(asked, person),
    }


def written(asked: Schedule, person: Change | None) -> str:
    """Return the ``kwargs`` of a row."""
    return json.dumps(
        asdict(asked) | ({"person": asdict(person)} if person else {}), sort_keys=True
    )


def visible(actor: Actor) -> "QuerySet[Any]":
    """Return the rows of the schedules that ``actor`` sees: all, or those of the run profiles in the namespaces that they are confined to."""
    return queue.schedules().filter(named(actor, "name"))


def named(actor: Actor, field: str) -> Q:
    """Return the condition that ``field`` names a schedule that ``actor`` sees."""
    if actor.namespaces is None:
        return Q()
    theirs = RunProfile.objects.filter(actor.filter()).annotate(
        schedule=Concat(Value(OF_RUN_PROFILE), F("run_profile_id"))
    )
    return Q(Exists(theirs.filter(schedule=OuterRef(field))))


def _kwargs(text: str | None) -> tuple[Schedule | None, Change | None]:
    try:
        found = json.loads(text or "")
        person = found.pop("person", None)
        return Schedule(**found), Change(**person) if person else None
    except (ValueError, TypeError, AttributeError):
        return None, None

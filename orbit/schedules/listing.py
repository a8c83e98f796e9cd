"""What lists show of schedules and of their ticks."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, Func, JSONField, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import JSONObject

from governance.access.actors import Actor
from governance.kernel.identifiers import uuid7_floor
from orbit.models import CronTick
from orbit.schedules import cron, rows
from orbit.schedules.cron import CronInvalid
from orbit.schedules.rows import OF_RUN_PROFILE, Change, Row

NEXT = 5
# A tick that nobody has looked at for so long is waited for in vain: no cluster is alive.
_OVERDUE = timedelta(seconds=60)
# An id carries the clock of the process that made it, due_at is reckoned. A row is never older than its tick, but may be much younger.
_SKEW = timedelta(minutes=10)
_EARLIEST = datetime.fromisoformat("1970-01-02T00:00:00+00:00")


@dataclass(frozen=True, slots=True)
class Shown:
    """A schedule as it is shown; ``broken`` says why one can't run, ``overdue_since`` since when no cluster has come to it."""

    row: Row
    time_zone: str
    words: str
    next_due_at: Sequence[datetime]
    overdue_since: datetime | None
    last_tick: dict[str, Any] | None
    broken: str

    @property
    def configured(self) -> str:
        """The cron that the configuration asks for."""
        return self.row.asked.cron if self.row.asked else ""

    @property
    def run_profile_id(self) -> str:
        """Whose own schedule it is; empty where it is nobody's."""
        return (
            self.row.name.removeprefix(OF_RUN_PROFILE)
            if self.row.name.startswith(OF_RUN_PROFILE)
            else ""
        )

    @property
    def person(self) -> Change | None:
        """What somebody changed."""
        return self.row.person


def schedules(actor: Actor) -> "QuerySet[Any]":
    """Return the rows that ``actor`` sees, each with its last tick; ``show`` reads them. One query for a page."""
    last = CronTick.objects.filter(schedule=OuterRef("name")).order_by("-due_at")
    shape = JSONObject(id="id", tick_key="tick_key", due_at="due_at", outcome="outcome")
    found: QuerySet[Any] = rows.visible(actor).annotate(
        last_tick=Subquery(last.values(shape=shape)[:1], output_field=JSONField())
    )
    return found


def show(found: Any, now: datetime) -> Shown:
    """Return a row of ``schedules`` as it is shown at ``now``."""
    row = rows.parse(found.id, found.name, found.cron, found.repeats, found.due, found.kwargs)
    due: list[datetime] = []
    broken = ""
    if row.on:
        try:
            due = cron.upcoming(row.schedule.cron, row.schedule.time_zone, now, NEXT)
        except (CronInvalid, KeyError, ValueError, OSError) as error:
            broken = str(error)
    waited = row.on and row.next_run is not None and row.next_run < now - _OVERDUE
    last = found.last_tick
    if isinstance(last, str):
        with suppress(ValueError):
            last = json.loads(last)
    if last is not None:
        last["due_at"] = datetime.fromisoformat(last["due_at"])
    return Shown(
        row=row,
        time_zone=row.asked.time_zone if row.asked else "",
        words=cron.in_words(row.cron) if row.cron else "off",
        next_due_at=due,
        overdue_since=row.next_run if waited else None,
        last_tick=last,
        broken=broken,
    )


def ticks(
    actor: Actor,
    *,
    schedule: str | None = None,
    outcome: str | None = None,
    due_from: datetime | None = None,
    due_to: datetime | None = None,
) -> "QuerySet[CronTick]":
    """Return the ticks that ``actor`` sees and that fit, newest first; ``due_to`` itself is outside. ``said`` is their detail without long lists."""
    found = (
        CronTick.objects.filter(rows.named(actor, "schedule"))
        .defer("detail")
        .annotate(said=_without_others())
    )
    if schedule is not None:
        found = found.filter(schedule=schedule)
    if outcome is not None:
        found = found.filter(outcome=outcome)
    if due_from is not None:
        found = found.filter(
            due_at__gte=due_from, id__gte=uuid7_floor(max(due_from, _EARLIEST) - _SKEW)
        )
    if due_to is not None:
        found = found.filter(due_at__lt=due_to)
    return found.order_by("-id")


def _without_others() -> Func:
    return Func(
        F("detail"),
        Value("others"),
        template="(%(expressions)s)",
        arg_joiner=" - ",
        output_field=JSONField(),
    )

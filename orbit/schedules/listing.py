"""Lists of schedules and of their ticks."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, Func, JSONField, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import JSONObject

from governance.access.actors import Actor
from governance.kernel import clock, cron_fields
from governance.kernel.identifiers import uuid7_floor
from orbit.models import CronTick
from orbit.schedules import change, cron, rows
from orbit.schedules.cron import CronInvalid
from orbit.schedules.rows import OF_RUN_PROFILE, ScheduleOverride, ScheduleRow

NEXT = 5
# Due for longer than this: no cluster is alive.
_OVERDUE = timedelta(seconds=60)
# A row may be much younger than its tick, but older only by the difference of two clocks.
_SKEW = timedelta(minutes=10)
_EARLIEST = datetime.fromisoformat("1970-01-02T00:00:00+00:00")


@dataclass(frozen=True, slots=True)
class ScheduleSummary:
    """A schedule in a list."""

    row: ScheduleRow
    time_zone: str
    words: str
    next_due_at: Sequence[datetime]
    overdue_since: datetime | None  # no cluster has come to it since
    last_tick: dict[str, Any] | None
    problem: str  # why it can't run

    @property
    def configured_cron(self) -> str:
        """The configured cron."""
        return self.row.configured.cron if self.row.configured else ""

    @property
    def run_profile_id(self) -> str:
        """The schedule's run profile, or an empty text."""
        name = self.row.name
        return name.removeprefix(OF_RUN_PROFILE) if name.startswith(OF_RUN_PROFILE) else ""

    @property
    def override(self) -> ScheduleOverride | None:
        """The manual override, if any."""
        return self.row.override


def schedules(actor: Actor, *, namespace: str | None = None, part: str = "") -> "QuerySet[Any]":
    """Return the visible rows (of a namespace) with their last ticks, for ``summarize``.

    ``part``: only those with this part in their names.
    """
    if namespace:
        actor = replace(actor, namespaces=frozenset({namespace} if actor.sees(namespace) else ()))
    last = CronTick.objects.filter(schedule=OuterRef("name")).order_by("-due_at")
    tick = JSONObject(id="id", tick_key="tick_key", due_at="due_at", outcome="outcome")
    visible: QuerySet[Any] = rows.visible(actor).annotate(
        last_tick=Subquery(last.values(tick=tick)[:1], output_field=JSONField())
    )
    return visible.filter(name__contains=part[:200]) if part else visible


def find(name: str, *, actor: Actor) -> ScheduleSummary:
    """Summarize the schedule ``name``. Raises ScheduleUnknown, also if it's hidden."""
    row = change.find(name, actor=actor)
    return summarize(schedules(actor).get(pk=row.pk), clock.now())


def summarize(record: Any, now: datetime) -> ScheduleSummary:
    """Summarize a row of ``schedules`` at ``now``."""
    row = rows.parse(record.id, record.name, record.cron, record.repeats, record.due, record.kwargs)
    due: list[datetime] = []
    problem = ""
    if row.on:
        try:
            due = cron.upcoming(row.schedule.cron, row.schedule.time_zone, now, NEXT)
        except (CronInvalid, KeyError, ValueError, OSError) as error:
            problem = str(error)
    overdue = row.on and row.next_run is not None and row.next_run < now - _OVERDUE
    return ScheduleSummary(
        row=row,
        time_zone=row.configured.time_zone if row.configured else "",
        words=cron_fields.in_words(row.cron) if row.cron else "off",
        next_due_at=due,
        overdue_since=row.next_run if overdue else None,
        last_tick=_last_tick(record.last_tick),
        problem=problem,
    )


def _last_tick(tick: Any) -> dict[str, Any] | None:
    if isinstance(tick, str):
        with suppress(ValueError):
            tick = json.loads(tick)
    return None if tick is None else {**tick, "due_at": datetime.fromisoformat(tick["due_at"])}


def ticks(
    actor: Actor,
    *,
    schedule: str | None = None,
    outcome: str | None = None,
    due_from: datetime | None = None,
    due_to: datetime | None = None,
) -> "QuerySet[CronTick]":
    """Return the matching visible ticks, newest first; ``due_to`` is exclusive."""
    matching = (
        CronTick.objects.filter(rows.names_visible(actor, "schedule"))
        # A tick of many run profiles has a long detail: read it without its lists.
        .defer("detail")
        .annotate(short_detail=_without_others())
    )
    if schedule is not None:
        matching = matching.filter(schedule=schedule)
    if outcome is not None:
        matching = matching.filter(outcome=outcome)
    if due_from is not None:
        # The bound on the id lets the primary key's index answer.
        oldest = uuid7_floor(max(due_from, _EARLIEST) - _SKEW)
        matching = matching.filter(due_at__gte=due_from, id__gte=oldest)
    if due_to is not None:
        matching = matching.filter(due_at__lt=due_to)
    return matching.order_by("-id")


def _without_others() -> Func:
    return Func(
        F("detail"),
        Value("others"),
        template="(%(expressions)s)",
        arg_joiner=" - ",
        output_field=JSONField(),
    )

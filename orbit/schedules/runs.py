"""How profiles ran last and when they run next, and what an edit does to their schedules."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from governance.access.actors import Actor
from governance.kernel import cron_fields, sql
from orbit.models import RunProfile
from orbit.profiles.kinds import PROFILE, AnyKind
from orbit.schedules import cron, listing
from orbit.schedules.cron import CronInvalid
from orbit.schedules.rows import OF_RUN_PROFILE

_MOST_RUN_PROFILES = 2_000
_MOST_EFFECTS = 20
_NEXT = 3

RUNS = sql.load(__name__, "runs_of_profiles")


@dataclass(frozen=True, slots=True)
class Runs:
    """The newest cycle, and when the next one is due."""

    cycle_id: UUID | None = None
    status: str | None = None
    next_due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ScheduleEffect:
    """A schedule that an edit concerns. ``was`` and ``words`` say when it fires."""

    schedule: str
    was: str
    words: str
    next_due_at: list[datetime]


def runs(kind: AnyKind, names: Iterable[str], *, actor: Actor) -> dict[str, Runs]:
    """Return the runs of each of ``names`` that ``actor`` sees."""
    pairs = [(name, name) for name in names]
    if kind is PROFILE:
        rows = RunProfile.objects.filter(
            actor.filter(), profile__profile_id__in=[name for name, _ in pairs], hidden=False
        )
        pairs = list(
            rows.order_by("pk").values_list("profile__profile_id", "run_profile_id")[
                :_MOST_RUN_PROFILES
            ]
        )
    keys, run_profiles = ([pair[side] for pair in pairs] for side in (0, 1))
    return {key: Runs(*rest) for key, *rest in RUNS.rows(keys=keys, run_profiles=run_profiles)}


def effects(
    kind: AnyKind, name: str, document: Any, current: Any, *, actor: Actor, now: datetime
) -> list[ScheduleEffect]:
    """Return the schedules that saving the valid ``document`` over ``current`` concerns."""
    if kind is not PROFILE:
        was, words = (_words(side.get("execution_policy", {})) for side in (current, document))
        due = _next(document.get("execution_policy", {}), now)
        disabled = document.get("state") != "enabled"
        if was == words == "":
            return []
        return [ScheduleEffect(OF_RUN_PROFILE + name, was, words, [] if disabled else due)]
    names = RunProfile.objects.filter(actor.filter(), profile__profile_id=name, hidden=False)
    schedules = [OF_RUN_PROFILE + run for run in names.values_list("run_profile_id", flat=True)]
    rows = listing.schedules(actor).filter(name__in=schedules)[:_MOST_EFFECTS]
    summaries = [listing.summarize(row, now) for row in rows]
    return [
        ScheduleEffect(
            summary.row.name, summary.words, summary.words, [*summary.next_due_at][:_NEXT]
        )
        for summary in summaries
    ]


def _words(policy: Any) -> str:
    if not policy.get("cron"):
        return ""
    zone = f" ({policy['time_zone']})" if policy.get("time_zone") else ""
    return cron_fields.in_words(policy["cron"]) + zone


def _next(policy: Any, now: datetime) -> list[datetime]:
    try:
        zone = policy.get("time_zone") or "UTC"
        return cron.upcoming(policy["cron"], zone, now, _NEXT) if policy.get("cron") else []
    except CronInvalid:
        return []

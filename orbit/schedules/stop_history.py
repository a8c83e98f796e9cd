"""What was in force at a past time, read from what is kept for good."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q
from django.db.models.functions import Now

from governance.audit.actions import Action
from governance.kernel import reasons
from governance.kernel.identifiers import uuid7_floor
from governance.models import AuditTrailEntry, GovernanceSetting
from governance.states import Stopped
from orbit.models import CronTick, CycleRun, ProfileRevision, RunProfile, RunProfileRevision
from orbit.schedules.rows import ScheduleRow
from orbit.states import ACTIVE

_MOST_CYCLES = 20
_MOST_TICKS = 100
# Ids hold the clock of the process that made them.
_SKEW = timedelta(minutes=10)

_STOPS: Mapping[str, Stopped] = {
    Action.NAMESPACE_HALTED: Stopped.HALT,
    Action.NAMESPACE_DRAINED: Stopped.DRAIN,
    Action.PAUSE_SET: Stopped.PAUSE,
}
_ENDS = (Action.NAMESPACE_RESUMED, Action.PAUSE_LIFTED)


@dataclass(frozen=True, slots=True)
class StopPeriod:
    """A halt, drain or pause."""

    kind: Stopped
    by: str
    since: datetime
    reason: str
    until: str | None  # an ISO date-time, if it had an end


def run_profile_revision(run_profile: RunProfile, at: datetime) -> RunProfileRevision | None:
    """Return the revision in force at ``at``, if any."""
    return (
        RunProfileRevision.objects.filter(run_profile=run_profile, created_at__lte=at)
        .order_by("-number")
        .first()
    )


def profile_revision(profile_id: str, at: datetime) -> ProfileRevision | None:
    """Return the revision in force at ``at``, if any."""
    return (
        ProfileRevision.objects.filter(profile__profile_id=profile_id, created_at__lte=at)
        .order_by("-number")
        .first()
    )


def created_at(run_profile: RunProfile) -> datetime:
    """Return when the run profile got its first revision."""
    return RunProfileRevision.objects.filter(run_profile=run_profile).earliest("number").created_at


def stop_at(namespace: str, at: datetime) -> StopPeriod | None:
    """Return what stopped ``namespace`` at ``at``; a pause comes first."""
    return (
        _audited_stop("pause", "everything", at)
        or _audited_stop("namespace", namespace, at)
        or _unaudited_stop(namespace, at)
    )


def switch_at(
    schedule: str, row: ScheduleRow | None, at: datetime
) -> tuple[bool, str, AuditTrailEntry | None]:
    """Return whether it was on at ``at``, its cron, and the change's entry."""
    entries = AuditTrailEntry.objects.filter(
        object_type="schedule", object_id=schedule, action=Action.SCHEDULE_CHANGED
    )
    before = entries.filter(at__lte=at).order_by("-id").first()
    if before is not None:
        return *_switch(before.after), before
    after = entries.filter(at__gt=at).order_by("id").first()
    if after is not None:
        return *_switch(after.before), None
    # Without an entry today's override counts, and the cron is unknown.
    return (row is None or row.override is None or not row.override.off), "", None


def _switch(state: Any) -> tuple[bool, str]:
    return bool(state["on"]), str(state["cron"])


def tick_near(schedule: str, at: datetime, around: timedelta) -> CronTick | None:
    """Return the tick nearest to ``at``, or the missed row around it."""
    near = list(
        CronTick.objects.filter(
            schedule=schedule, due_at__range=(at - around, at + around)
        ).order_by("-due_at")[:_MOST_TICKS]
    )
    if near:
        return min(near, key=lambda tick: abs(tick.due_at - at))
    before = CronTick.objects.filter(schedule=schedule, due_at__lte=at).order_by("-due_at").first()
    if before is None or "until" not in before.detail:
        return None
    return before if datetime.fromisoformat(before.detail["until"]) >= at else None


def cycles_near(run_profile_id: str, at: datetime, around: timedelta) -> Sequence[CycleRun]:
    """Return the run profile's cycles created within ``around`` of ``at``."""
    cycles = CycleRun.objects.filter(
        run_profile_id=run_profile_id,
        created_at__range=(at - around, at + around),
        id__gte=uuid7_floor(at - around - _SKEW),
        id__lt=uuid7_floor(at + around + _SKEW),
    )
    fields = ("id", "status", "trigger", "created_at", "reason")
    return list(cycles.only(*fields).order_by("id")[:_MOST_CYCLES])


def active_cycle(namespace: str, at: datetime) -> CycleRun | None:
    """Return the cycle that was active in ``namespace`` at ``at``, if any."""
    cycles = CycleRun.objects.filter(namespace_id=namespace, id__lt=uuid7_floor(at + _SKEW))
    fields = ("id", "status", "created_at", "started_at", "finished_at")
    for cycle in cycles.only(*fields).order_by("-id")[:_MOST_CYCLES]:
        began = cycle.started_at or (cycle.created_at if cycle.status in ACTIVE else None)
        if began is None or began > at:
            continue
        if cycle.finished_at is None or cycle.finished_at > at:
            return cycle
    return None


def _audited_stop(object_type: str, object_id: str, at: datetime) -> StopPeriod | None:
    entry = (
        AuditTrailEntry.objects.filter(
            object_type=object_type, object_id=object_id, action__in=[*_STOPS, *_ENDS], at__lte=at
        )
        .order_by("-id")
        .first()
    )
    if entry is None or entry.action in _ENDS:
        return None
    after: dict[str, Any] = entry.after if isinstance(entry.after, dict) else {}
    until = after.get("until")
    if until and datetime.fromisoformat(until) <= at:
        return None
    return StopPeriod(
        _STOPS[entry.action], entry.actor, entry.at, entry.reason or reasons.NO_REASON, until
    )


def _unaudited_stop(namespace: str, at: datetime) -> StopPeriod | None:
    """Return today's halt or drain if it held at ``at``."""
    # It may be older than its audit action.
    setting = GovernanceSetting.objects.filter(
        Q(until__isnull=True) | Q(until__gt=Now()), namespace__name=namespace, since__lte=at
    ).first()
    if setting is None or not (setting.halt or setting.mode == "draining"):
        return None
    return StopPeriod(
        Stopped.HALT if setting.halt else Stopped.DRAIN,
        setting.changed_by or "an unknown user",
        setting.since,
        setting.reason or reasons.NO_REASON,
        setting.until.isoformat() if setting.until else None,
    )

"""What stood at a moment that is past: which revisions were in force, what was switched off, halted or paused, and which cycles ran.

All of it is read from what is kept for ever: revisions, the audit trail, the ledger of ticks, cycles. A few rows each, found by keys.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q
from django.db.models.functions import Now

from governance.audit.actions import Action
from governance.kernel.identifiers import uuid7_floor
from governance.models import AuditTrailEntry, GovernanceSetting
from orbit.models import CronTick, CycleRun, ProfileRevision, RunProfile, RunProfileRevision
from orbit.schedules.rows import Row
from orbit.states import ACTIVE

_MOST_CYCLES = 20
_SKEW = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Stop:
    """What kept a namespace, or everything, from starting something: ``halt``, ``drain`` or ``pause``."""

    kind: str
    by: str
    since: datetime
    reason: str
    until: str | None


_STOPS: Mapping[str, str] = {
    Action.NAMESPACE_HALTED: "halt",
    Action.NAMESPACE_DRAINED: "drain",
    Action.PAUSE_SET: "pause",
}
_ENDS = (Action.NAMESPACE_RESUMED, Action.PAUSE_LIFTED)


def run_profile_revision(run_profile: RunProfile, at: datetime) -> RunProfileRevision | None:
    """Return the revision that was in force at ``at``; None where there was none yet."""
    return (
        RunProfileRevision.objects.filter(run_profile=run_profile, created_at__lte=at)
        .order_by("-number")
        .first()
    )


def profile_revision(profile_id: str, at: datetime) -> ProfileRevision | None:
    """Likewise, of a profile."""
    return (
        ProfileRevision.objects.filter(profile__profile_id=profile_id, created_at__lte=at)
        .order_by("-number")
        .first()
    )


def first_revision(run_profile: RunProfile) -> datetime:
    """Return when the run profile was made."""
    return RunProfileRevision.objects.filter(run_profile=run_profile).earliest("number").created_at


def stop(namespace: str, at: datetime) -> Stop | None:
    """Return what kept ``namespace`` from starting something at ``at``; the pause of everything before its own halt or drain."""
    return (
        _last("pause", "everything", at)
        or _last("namespace", namespace, at)
        or _standing(namespace, at)
    )


def switched(name: str, row: Row | None, at: datetime) -> tuple[bool, str, AuditTrailEntry | None]:
    """Return whether a person let the schedule be on at ``at``, its cron then, and the entry that changed it last before.

    Without an entry about it the row says so as it stands: what the configuration makes of it, revisions tell.
    """
    entries = AuditTrailEntry.objects.filter(
        object_type="schedule", object_id=name, action=Action.SCHEDULE_CHANGED
    )
    before = entries.filter(at__lte=at).order_by("-id").first()
    if before is not None:
        return *_state(before.after), before
    after = entries.filter(at__gt=at).order_by("id").first()
    if after is not None:
        return *_state(after.before), None
    return (row is None or row.person is None or not row.person.off), "", None


def _state(said: Any) -> tuple[bool, str]:
    return bool(said["on"]), str(said["cron"])


def tick(schedule: str, at: datetime, around: timedelta) -> CronTick | None:
    """Return the tick nearest to ``at``, no further than ``around``, or the row from-to that it lies in."""
    near = list(
        CronTick.objects.filter(
            schedule=schedule, due_at__range=(at - around, at + around)
        ).order_by("-due_at")[: _MOST_CYCLES * 5]
    )
    if near:
        return min(near, key=lambda one: abs(one.due_at - at))
    before = CronTick.objects.filter(schedule=schedule, due_at__lte=at).order_by("-due_at").first()
    if (
        before is not None
        and "until" in before.detail
        and datetime.fromisoformat(before.detail["until"]) >= at
    ):
        return before
    return None


def cycles(run_profile_id: str, at: datetime, around: timedelta) -> Sequence[CycleRun]:
    """Return the cycles of the run profile that were accepted within ``around`` of ``at``, oldest first."""
    rows = CycleRun.objects.filter(
        run_profile_id=run_profile_id,
        created_at__range=(at - around, at + around),
        id__gte=uuid7_floor(at - around - _SKEW),
    )
    return list(
        rows.filter(id__lt=uuid7_floor(at + around + _SKEW))
        .only("id", "status", "trigger", "created_at", "reason")
        .order_by("id")[:_MOST_CYCLES]
    )


def active(namespace: str, at: datetime) -> CycleRun | None:
    """Return the cycle that was active in ``namespace`` at ``at``; of those still there, the newest twenty before it are looked at."""
    rows = CycleRun.objects.filter(namespace_id=namespace, id__lt=uuid7_floor(at + _SKEW)).order_by(
        "-id"
    )
    for row in rows.only("id", "status", "created_at", "started_at", "finished_at")[:_MOST_CYCLES]:
        began = row.started_at or (row.created_at if row.status in ACTIVE else None)
        if began is not None and began <= at and (row.finished_at is None or row.finished_at > at):
            return row
    return None


def _last(object_type: str, object_id: str, at: datetime) -> Stop | None:
    entries = AuditTrailEntry.objects.filter(
        object_type=object_type, object_id=object_id, action__in=[*_STOPS, *_ENDS], at__lte=at
    )
    entry = entries.order_by("-id").first()
    if entry is None or entry.action in _ENDS:
        return None
    said: dict[str, Any] = entry.after if isinstance(entry.after, dict) else {}
    until = said.get("until")
    if until and datetime.fromisoformat(until) <= at:
        return None
    return Stop(_STOPS[entry.action], entry.actor, entry.at, entry.reason or "none given", until)


def _standing(namespace: str, at: datetime) -> Stop | None:
    """Return the halt or drain that stands now and did then: of one that was set before the audit trail named it."""
    setting = GovernanceSetting.objects.filter(
        Q(until__isnull=True) | Q(until__gt=Now()), namespace__name=namespace, since__lte=at
    ).first()
    if setting is None or not (setting.halt or setting.mode == "draining"):
        return None
    kind = "halt" if setting.halt else "drain"
    return Stop(
        kind,
        setting.changed_by or "nobody named",
        setting.since,
        setting.reason or "none given",
        setting.until.isoformat() if setting.until else None,
    )

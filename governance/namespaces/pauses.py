"""The pause of all processes. ORBIT_GLOBAL_PAUSE pauses only those that have it."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q
from django.db.models.functions import Now

from governance import audit
from governance.access.actors import SYSTEM, Actor
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.kernel import reasons
from governance.kernel.errors import Kind, OrbitError
from governance.models import Stop
from governance.namespaces import gate, stops
from governance.namespaces.stops import OpenStop
from governance.states import Stopped

_OBJECT_ID = "everything"


class HeldByEnvironment(OrbitError):
    """ORBIT_GLOBAL_PAUSE pauses these processes. Unset it and restart them to end the pause."""

    code, kind = "held_by_environment", Kind.CONFLICT


@dataclass(frozen=True, slots=True)
class PauseStatus:
    """The pause in force. ``quiet``: nothing is in flight any more."""

    source: str | None  # "environment" or "console"; None: not paused
    reason: str
    by: str
    since: datetime | None
    until: datetime | None
    quiet: bool
    certificate: dict[str, Any] | None

    @property
    def paused(self) -> bool:
        """Whether the workspace is paused."""
        return self.source is not None

    def to_dict(self) -> dict[str, Any]:
        """Return what the commands show."""
        return {"paused": self.paused, **asdict(self)}


def read(*, actor: Actor = SYSTEM) -> PauseStatus:
    """Return the status as ``actor`` sees it."""
    pause = Stop.objects.filter(
        Q(until__isnull=True) | Q(until__gt=Now()),
        kind=Stopped.PAUSE,
        namespace__isnull=True,
        ended_at__isnull=True,
    ).first()
    source = "environment" if gate.paused_here() else "console" if pause else None
    if pause is None:
        reason = "ORBIT_GLOBAL_PAUSE is set" if source else ""
        return PauseStatus(source, reason, "", None, None, False, None)
    return PauseStatus(
        source=source,
        reason=pause.reason or reasons.NO_REASON,
        by=pause.started_by,
        since=pause.since,
        until=pause.until,
        quiet=pause.quiet_at is not None,
        # The certificate names all namespaces.
        certificate=pause.certificate if actor.namespaces is None else None,
    )


def pause(*, actor: Actor, reason: str, until: datetime | None = None) -> PauseStatus:
    """Pause the workspace within a second, or extend its pause.

    Raises NotAllowed, ReasonInvalid, UntilInvalid.
    """
    actor.require(Scope.OPERATE)
    actor.require_workspace()
    reason, by = stops.clean_reason(reason), actor.name
    stops.check_until(until)
    with audit.transaction():
        before = _begin(by=by, reason=reason, until=until)
        if before is not None:
            reason, by, until = stops.extended(before, reason=reason, by=by, until=until)
            stops.amend(Stopped.PAUSE, None, by=by, reason=reason, until=until)
        if before is None or (reason, until) != (before.reason, before.until):
            stops.notify()
            audit.record(
                Action.PAUSE_SET,
                actor=actor.name,
                object_id=_OBJECT_ID,
                before=_to_dict(before),
                after={"paused": True, "until": stops.to_iso(until)},
                reason=reason,
            )
    return read()


def unpause(*, actor: Actor, reason: str) -> PauseStatus:
    """End the pause. Raises NotAllowed, ReasonInvalid, HeldByEnvironment."""
    actor.require(Scope.OPERATE)
    actor.require_workspace()
    reason = stops.clean_reason(reason)
    if gate.paused_here():
        raise HeldByEnvironment
    _end(actor=actor, reason=reason, expired_only=False)
    return read()


def lift_expired() -> None:
    """Record the end of an expired pause. The gate opened at ``until``."""
    _end(actor=SYSTEM, reason=stops.EXPIRED, expired_only=True)


def _begin(*, by: str, reason: str, until: datetime | None) -> OpenStop | None:
    """Begin a pause, or return the one in force."""
    while True:
        before = stops.lock_open(Stopped.PAUSE, None)
        if before is not None and not before.expired:
            return before
        if before is not None:
            stops.end(Stopped.PAUSE, None, by=by, reason=stops.EXPIRED)
        if stops.begin(Stopped.PAUSE, None, by=by, reason=reason, until=until):
            return None
        # Another call has committed a pause meanwhile: lock that one.


def _end(*, actor: Actor, reason: str, expired_only: bool) -> None:
    with audit.transaction():
        before = stops.lock_open(Stopped.PAUSE, None)
        if before is None or (expired_only and not before.expired):
            return
        stops.end(Stopped.PAUSE, None, by=actor.name, reason=reason)
        stops.notify()
        audit.record(
            Action.PAUSE_LIFTED,
            actor=actor.name,
            object_id=_OBJECT_ID,
            before=_to_dict(before),
            after={"paused": False},
            reason=reason,
        )


def _to_dict(stop: OpenStop | None) -> dict[str, Any]:
    if stop is None:
        return {"paused": False}
    return {
        "paused": True,
        "by": stop.by,
        "reason": stop.reason,
        "until": stops.to_iso(stop.until),
    }

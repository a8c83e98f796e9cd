"""The pause of everything: a person's switch, beside the environment's, which it can't lift.

It holds every process on every machine, at once and without a restart; ORBIT_GLOBAL_PAUSE holds the processes that have it. After a crash
the deed has happened or not.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q
from django.db.models.functions import Now

from governance import audit
from governance.access.actors import SYSTEM, Actor
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.kernel.errors import Kind, OrbitError
from governance.models import Stop
from governance.namespaces import gate, stops
from governance.namespaces.halts import OVER
from governance.states import Stopped


class HeldByEnvironment(OrbitError):
    """ORBIT_GLOBAL_PAUSE holds the pause: only whoever starts the processes ends it, by unsetting it and restarting them."""

    code, kind = "held_by_environment", Kind.CONFLICT


@dataclass(frozen=True, slots=True)
class Pausing:
    """Whether everything is paused, and by what: this process's environment or the console. ``quiet`` tells that nothing is in flight any more."""

    source: str | None
    reason: str
    by: str
    since: datetime | None
    until: datetime | None
    quiet: bool
    certificate: dict[str, Any] | None

    def data(self) -> dict[str, Any]:
        """Return it as the API and the commands show it."""
        return {
            "paused": self.source is not None,
            "source": self.source,
            "reason": self.reason,
            "by": self.by,
            "since": self.since,
            "until": self.until,
            "quiet": self.quiet,
            "certificate": self.certificate,
        }


def read(*, actor: Actor = SYSTEM) -> Pausing:
    """Return how it stands. The certificate names deliveries of all namespaces: who is confined to some gets none."""
    lasting = Q(until__isnull=True) | Q(until__gt=Now())
    console = Stop.objects.filter(
        lasting, kind=Stopped.PAUSE, namespace__isnull=True, ended_at__isnull=True
    ).first()
    source = "environment" if gate.paused_here() else "console" if console else None
    if console is None:
        return Pausing(
            source, "ORBIT_GLOBAL_PAUSE is set" if source else "", "", None, None, False, None
        )
    certificate = console.certificate if actor.namespaces is None else None
    return Pausing(
        source,
        console.reason or "none given",
        console.started_by,
        console.since,
        console.until,
        console.quiet_at is not None,
        certificate,
    )


def pause(*, actor: Actor, reason: str, until: datetime | None = None) -> Pausing:
    """Pause everything, within a second. Paused already, it is for at least as long, and gets the new reason.

    Raises NotAllowed for one who is confined to namespaces, ReasonInvalid, UntilInvalid.
    """
    actor.require(Scope.OPERATE)
    actor.require_workspace()
    reason, by = stops.reason_of(reason), actor.name
    stops.check_until(until)
    with audit.transaction():
        before = _begin(by=by, reason=reason, until=until)
        if before is not None:
            reason, by, until = stops.amended(reason, until, by=by, now=before)
            stops.amend(Stopped.PAUSE, None, by=by, reason=reason, until=until)
        if before is None or (reason, until) != (before.reason, before.until):
            stops.ring()
            _record(
                Action.PAUSE_SET,
                _told(before),
                {"paused": True, "until": stops.plain(until)},
                actor=actor,
                reason=reason,
            )
    return read()


def unpause(*, actor: Actor, reason: str) -> Pausing:
    """End the pause; where there is none nothing happens. Raises HeldByEnvironment, NotAllowed, ReasonInvalid."""
    actor.require(Scope.OPERATE)
    actor.require_workspace()
    words = stops.reason_of(reason)
    if gate.paused_here():
        raise HeldByEnvironment
    _end(actor=actor, reason=words, expired_only=False)
    return read()


def lift_expired() -> None:
    """End a pause whose time is over, on record. Nobody waits for it: the gate is open already."""
    _end(actor=SYSTEM, reason=OVER, expired_only=True)


def _begin(*, by: str, reason: str, until: datetime | None) -> stops.Held | None:
    """Begin a pause; return the one that stands instead, where one does."""
    while True:
        before = stops.held(Stopped.PAUSE, None)
        if before is not None and not before.over:
            return before
        if before is not None:
            stops.end(Stopped.PAUSE, None, by=by, reason=OVER)
        if stops.begin(Stopped.PAUSE, None, by=by, reason=reason, until=until):
            return None
        # Somebody was faster, and has committed.


def _end(*, actor: Actor, reason: str, expired_only: bool) -> None:
    with audit.transaction():
        before = stops.held(Stopped.PAUSE, None)
        if before is None or (expired_only and not before.over):
            return
        stops.end(Stopped.PAUSE, None, by=actor.name, reason=reason)
        stops.ring()
        _record(Action.PAUSE_LIFTED, _told(before), {"paused": False}, actor=actor, reason=reason)


def _told(before: stops.Held | None) -> dict[str, Any]:
    if before is None:
        return {"paused": False}
    return {
        "paused": True,
        "by": before.by,
        "reason": before.reason,
        "until": stops.plain(before.until),
    }


def _record(
    action: Action, before: dict[str, Any], after: dict[str, Any], *, actor: Actor, reason: str
) -> None:
    audit.record(action, actor=actor.name, object_id="everything", before=before, after=after, reason=reason)  # fmt: skip

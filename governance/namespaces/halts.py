"""Halt, drain and resume a namespace.

A halt stops running cycles at their next boundary. A drain lets them finish and starts nothing new.
A resume ends either. Each is one transaction that holds the namespace's setting, so the gate's
statements see all of it or nothing. Stopping is quick: a halt needs no reason, and a second halt
never ends the first one sooner. Resuming is careful: it needs a reason. After a crash the change is
there, or nothing is.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from governance import audit
from governance.access.actors import SYSTEM, Actor, NamespaceUnknown
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.kernel import reasons, sql
from governance.kernel.errors import Kind, OrbitError
from governance.namespaces import registry, status, stops
from governance.namespaces.status import NamespaceStatus
from governance.states import MODE, Mode, Stopped

ENSURE_SETTING = sql.load(__name__, "ensure_setting")
LOCK_SETTING = sql.load(__name__, "lock_setting")
SET_MODE = sql.load(__name__, "set_mode")
LOCK_SETTING_OF_STOP = sql.load(__name__, "lock_setting_of_stop")
CERTIFY_QUIET = sql.load(
    __name__, "certify_quiet", quiet=f"'{Mode.QUIET}'", sources=MODE.sql_sources(Mode.QUIET)
)

_LONGEST_NAME = 150
_ACTIONS = {Stopped.HALT: Action.NAMESPACE_HALTED, Stopped.DRAIN: Action.NAMESPACE_DRAINED}
_MODES = {Stopped.HALT: Mode.HALTING, Stopped.DRAIN: Mode.DRAINING}


class StillHalted(OrbitError):
    """This namespace is halted, which is more than draining. Resume it first."""

    code, kind = "halted", Kind.CONFLICT


@dataclass(frozen=True, slots=True)
class _Setting:
    """A namespace's setting, locked. ``expired``: its stop's time has passed."""

    id: int
    mode: Mode
    expired: bool
    reason: str
    by: str
    since: datetime
    until: datetime | None

    @property
    def stop(self) -> Stopped | None:
        """The kind of stop in force."""
        if self.expired or self.mode == Mode.RUNNING:
            return None
        return Stopped.DRAIN if self.mode == Mode.DRAINING else Stopped.HALT

    def to_dict(self) -> dict[str, Any]:
        """Return the stored stop for the audit trail, whether it is expired or not."""
        return {
            "state": str(self.mode),
            "by": self.by,
            "reason": self.reason,
            "until": stops.to_iso(self.until),
        }


def halt(
    namespace_name: str, *, actor: Actor, reason: str = "", until: datetime | None = None
) -> NamespaceStatus:
    """Stop all work in the namespace within a second.

    It is ``halting`` while deliveries are in flight, then ``quiet``. If it is halted already, the
    halt lasts at least as long and gets the new reason. An unknown namespace is created, halted, if
    ``actor`` administers the whole workspace. Raises NotAllowed, NamespaceUnknown, UntilInvalid,
    ReasonInvalid for a very long reason.
    """
    return _stop(
        Stopped.HALT,
        namespace_name,
        actor=actor,
        reason=stops.clean_reason(reason, required=False),
        until=until,
    )


def drain(
    namespace_name: str, *, actor: Actor, reason: str, until: datetime | None = None
) -> NamespaceStatus:
    """Let running cycles finish and start nothing new.

    Raises NotAllowed, StillHalted, NamespaceUnknown, ReasonInvalid, UntilInvalid.
    """
    return _stop(
        Stopped.DRAIN, namespace_name, actor=actor, reason=stops.clean_reason(reason), until=until
    )


def resume(namespace_name: str, *, actor: Actor, reason: str) -> NamespaceStatus:
    """End the halt or drain, if there is one: stopped cycles go on.

    Raises NotAllowed, NamespaceUnknown, ReasonInvalid.
    """
    actor.require(Scope.OPERATE)
    actor.require_namespace(namespace_name)
    _resume(namespace_name, actor=actor, reason=stops.clean_reason(reason), expired_only=False)
    return status.find(namespace_name, actor=actor)


def lift_expired(*, limit: int = 100) -> int:
    """Record the end of expired halts and drains; return how many stops were expired.

    The gate has been open since ``until``, so nothing waits for this.
    """
    expired = stops.expired().filter(namespace__isnull=False)
    names = list(expired.values_list("namespace__name", flat=True)[:limit])
    for name in names:
        _resume(name, actor=SYSTEM, reason=stops.EXPIRED, expired_only=True)
    return len(names)


def mark_quiet(stop_id: int, *, at: datetime, certificate: str) -> None:
    """Store the ``certificate`` (JSON) of a stop under which nothing is in flight since ``at``.

    Does nothing if the stop has ended meanwhile.
    """
    with transaction.atomic():
        LOCK_SETTING_OF_STOP.rows(stop=stop_id)
        CERTIFY_QUIET.execute(stop=stop_id, at=at, certificate=certificate)


def _stop(
    kind: Stopped, name: str, *, actor: Actor, reason: str, until: datetime | None
) -> NamespaceStatus:
    actor.require(Scope.OPERATE)
    stops.check_until(until)
    actor.require_namespace(name)
    with audit.transaction():
        created = kind == Stopped.HALT and _create_if_allowed(name, actor)
        setting = _lock(name)
        if kind == Stopped.DRAIN and setting.stop == Stopped.HALT:
            raise StillHalted(f"{name} is halted, which is more than draining. Resume it first.")
        if setting.stop == kind:
            mode, reason, by, until = _extend(kind, setting, actor, reason=reason, until=until)
            changed = (reason, until) != (setting.reason, setting.until)
        else:
            mode, by, changed = _MODES[kind], actor.name, True
            _begin(kind, setting, by=by, reason=reason, until=until)
        if changed:
            begins = setting.stop != kind
            _set(setting, mode, by=by, reason=reason, until=until, moves=begins)
            after = {"state": str(mode), "until": stops.to_iso(until)}
            audit.record(
                _ACTIONS[kind],
                actor=actor.name,
                object_id=name,
                namespace=name,
                before=setting.to_dict() if setting.stop else {"state": str(Mode.RUNNING)},
                after={**after, "created": True} if created else after,
                reason=reason or reasons.NO_REASON,
            )
    return status.find(name, actor=actor)


def _create_if_allowed(name: str, actor: Actor) -> bool:
    """Create a namespace that is missing if ``actor`` may; return whether it was created."""
    allowed = actor.namespaces is None and actor.may(Scope.ADMINISTER) and registry.is_name(name)
    return allowed and bool(registry.ensure([name]))


def _begin(
    kind: Stopped, setting: _Setting, *, by: str, reason: str, until: datetime | None
) -> None:
    """Begin a stop in place of the one that is open: an expired one, or a drain."""
    for replaced in (Stopped.HALT, Stopped.DRAIN):
        stops.end(
            replaced, setting.id, by=by, reason=stops.EXPIRED if setting.expired else str(kind)
        )
    stops.begin(kind, setting.id, by=by, reason=reason, until=until)


def _extend(
    kind: Stopped, setting: _Setting, actor: Actor, *, reason: str, until: datetime | None
) -> tuple[Mode, str, str, datetime | None]:
    """Extend the stop that is in force; return the mode that stays, its reason, author and end."""
    stop = stops.lock_open(kind, setting.id) or stops.OpenStop(
        # A setting that an outside tool wrote has no open row.
        0, setting.reason, setting.by, setting.since, setting.until, setting.expired
    )  # fmt: skip
    reason, by, until = stops.extended(stop, reason=reason, by=actor.name, until=until)
    stops.amend(kind, setting.id, by=by, reason=reason, until=until)
    return setting.mode, reason, by, until


def _resume(name: str, *, actor: Actor, reason: str, expired_only: bool) -> None:
    with audit.transaction():
        setting = _lock(name)
        if setting.mode == Mode.RUNNING or (expired_only and not setting.expired):
            return
        for kind in (Stopped.HALT, Stopped.DRAIN):
            stops.end(kind, setting.id, by=actor.name, reason=reason)
        _set(setting, Mode.RUNNING, by=actor.name, reason="", until=None, moves=True)
        audit.record(
            Action.NAMESPACE_RESUMED,
            actor=actor.name,
            object_id=name,
            namespace=name,
            before=setting.to_dict(),
            after={"state": str(Mode.RUNNING)},
            reason=reason,
        )


def _lock(name: str) -> _Setting:
    """Lock the namespace's setting until the transaction ends. Raises NamespaceUnknown."""
    if registry.is_name(name):
        ENSURE_SETTING.execute(name=name)
        if row := LOCK_SETTING.one(name=name):
            namespace_id, mode, *rest = row
            return _Setting(namespace_id, Mode(mode), *rest)
    raise NamespaceUnknown(f"There is no namespace {name!r}.")


def _set(
    setting: _Setting, mode: Mode, *, by: str, reason: str, until: datetime | None, moves: bool
) -> None:
    SET_MODE.execute(
        id=setting.id,
        mode=str(mode),
        by=by[:_LONGEST_NAME],
        reason=reason,
        until=until,
        moves=moves,
    )
    stops.notify()

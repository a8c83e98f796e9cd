"""Halt, drain and resume a namespace: each a transaction that locks the namespace's setting."""

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
    """A namespace's locked setting. ``expired``: its stop's time has passed."""

    id: int
    mode: Mode
    expired: bool
    reason: str
    by: str
    since: datetime
    until: datetime | None

    @property
    def stop(self) -> Stopped | None:
        """The stop in force."""
        if self.expired or self.mode == Mode.RUNNING:
            return None
        return Stopped.DRAIN if self.mode == Mode.DRAINING else Stopped.HALT

    def to_dict(self) -> dict[str, Any]:
        """Return the stored stop, expired or not, for the audit trail."""
        return {
            "state": str(self.mode),
            "by": self.by,
            "reason": self.reason,
            "until": stops.to_iso(self.until),
        }


def halt(
    namespace_name: str, *, actor: Actor, reason: str = "", until: datetime | None = None
) -> NamespaceStatus:
    """Stop all work in the namespace within a second, or extend its halt.

    Raises NotAllowed, NamespaceUnknown, UntilInvalid, ReasonInvalid.
    """
    # In an emergency there is no time for a reason, so none is required.
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
    """Let running cycles finish, but start nothing new.

    Raises NotAllowed, StillHalted, NamespaceUnknown, ReasonInvalid, UntilInvalid.
    """
    return _stop(
        Stopped.DRAIN, namespace_name, actor=actor, reason=stops.clean_reason(reason), until=until
    )


def resume(namespace_name: str, *, actor: Actor, reason: str) -> NamespaceStatus:
    """End the halt or drain. Raises NotAllowed, NamespaceUnknown, ReasonInvalid."""
    actor.require(Scope.OPERATE)
    actor.require_namespace(namespace_name)
    _resume(namespace_name, actor=actor, reason=stops.clean_reason(reason), expired_only=False)
    return status.find(namespace_name, actor=actor)


def lift_expired(*, limit: int = 100) -> int:
    """Record the end of expired stops; return how many. The gate opened at ``until``."""
    expired = stops.expired().filter(namespace__isnull=False)
    names = list(expired.values_list("namespace__name", flat=True)[:limit])
    for name in names:
        _resume(name, actor=SYSTEM, reason=stops.EXPIRED, expired_only=True)
    return len(names)


def mark_quiet(stop_id: int, *, at: datetime, certificate: str) -> None:
    """Store the certificate (JSON) that nothing is in flight, unless the stop has ended."""
    with transaction.atomic():
        # Lock order: setting, then stop.
        LOCK_SETTING_OF_STOP.rows(stop=stop_id)
        CERTIFY_QUIET.execute(stop=stop_id, at=at, certificate=certificate)


def _stop(
    kind: Stopped, name: str, *, actor: Actor, reason: str, until: datetime | None
) -> NamespaceStatus:
    actor.require(Scope.OPERATE)
    stops.check_until(until)
    actor.require_namespace(name)
    with audit.transaction():
        # A halt of a namespace that doesn't exist yet creates it, halted.
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
    allowed = actor.namespaces is None and actor.may(Scope.ADMINISTER) and registry.is_name(name)
    return allowed and bool(registry.ensure([name]))


def _begin(
    kind: Stopped, setting: _Setting, *, by: str, reason: str, until: datetime | None
) -> None:
    # The open stop is an expired one, or a drain that becomes a halt.
    for replaced in (Stopped.HALT, Stopped.DRAIN):
        stops.end(
            replaced, setting.id, by=by, reason=stops.EXPIRED if setting.expired else str(kind)
        )
    stops.begin(kind, setting.id, by=by, reason=reason, until=until)


def _extend(
    kind: Stopped, setting: _Setting, actor: Actor, *, reason: str, until: datetime | None
) -> tuple[Mode, str, str, datetime | None]:
    """Extend the stop in force; return its mode, reason, author and end."""
    stop = stops.lock_open(kind, setting.id) or stops.OpenStop(
        # An outside tool wrote the setting, without a row of its history.
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
    """Lock the namespace's setting. Raises NamespaceUnknown."""
    if registry.is_name(name):  # a parameter with NUL would be an error
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

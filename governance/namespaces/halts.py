"""Halt, drain and resume of a namespace.

A halt stops what runs at its next boundary, a drain lets it finish and starts nothing new, a resume ends either. Each is one transaction
that holds the namespace's setting: the gate's statements see it whole or not at all. Stopping is quick: it is refused for no want of a
reason, and a second halt never ends the first one sooner. Resuming is careful: it wants one. After a crash the deed has happened or not.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from governance import audit
from governance.access.actors import SYSTEM, Actor, NamespaceUnknown
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.kernel.errors import Kind, OrbitError
from governance.namespaces import registry, status, stops
from governance.namespaces.status import NamespaceStatus
from governance.states import MODE, Mode, Stopped

OVER = "its time was over"

ENSURE = """INSERT INTO governance_governancesetting (namespace_id) SELECT id FROM governance_namespace WHERE name = %s ON CONFLICT (namespace_id) DO NOTHING"""
LOCK = """SELECT s.namespace_id, s.mode, coalesce(s.until <= clock_timestamp(), false), s.reason, s.changed_by, s.since, s.until
FROM governance_governancesetting s JOIN governance_namespace n ON n.id = s.namespace_id WHERE n.name = %s FOR NO KEY UPDATE OF s"""
SET = """UPDATE governance_governancesetting SET mode = %(mode)s, halt = %(mode)s IN ('halting', 'quiet'), reason = %(reason)s, changed_by = %(by)s,
    until = %(until)s, since = CASE WHEN %(begins)s THEN clock_timestamp() ELSE since END WHERE namespace_id = %(id)s"""
# The setting first, as everywhere here: the other way round two of them would wait for each other.
HOLD = """SELECT 1 FROM governance_governancesetting WHERE namespace_id = (SELECT namespace_id FROM governance_stop WHERE id = %s) FOR NO KEY UPDATE"""
QUIET = f"""WITH certified AS (
    UPDATE governance_stop st SET quiet_at = %(at)s, certificate = %(certificate)s::jsonb
    WHERE st.id = %(stop)s AND st.ended_at IS NULL AND st.quiet_at IS NULL RETURNING st.namespace_id)
UPDATE governance_governancesetting s SET mode = '{Mode.QUIET}' FROM certified WHERE s.namespace_id = certified.namespace_id
    AND s.mode IN ({MODE.sql_sources(Mode.QUIET)})"""


class StillHalted(OrbitError):
    """This namespace is halted, which is more than draining. Resume it first."""

    code, kind = "halted", Kind.CONFLICT


@dataclass(frozen=True, slots=True)
class _Setting:
    """A namespace's setting, locked. One whose time is over counts as running."""

    id: int
    mode: Mode
    over: bool
    reason: str
    by: str
    since: datetime
    until: datetime | None

    @property
    def stops(self) -> Stopped | None:
        """What stands there."""
        if self.over or self.mode == Mode.RUNNING:
            return None
        return Stopped.DRAIN if self.mode == Mode.DRAINING else Stopped.HALT

    def told(self) -> dict[str, Any]:
        """Return it for the audit trail."""
        state = self.mode if self.stops else Mode.RUNNING
        return {
            "state": str(state),
            **(
                {"by": self.by, "reason": self.reason, "until": stops.plain(self.until)}
                if self.stops
                else {}
            ),
        }


def halt(
    namespace_name: str, *, actor: Actor, reason: str = "", until: datetime | None = None
) -> NamespaceStatus:
    """Stop all work in the namespace, within a second; it is ``halting`` until nothing is in flight, then ``quiet``.

    Halted already, it is halted for at least as long, and gets the new reason. An unknown one is made, halted, for an administrator who is
    confined to nothing; for everybody else it is NamespaceUnknown. Raises ReasonInvalid for a very long one, and UntilInvalid.
    """
    return _stop(
        Stopped.HALT,
        namespace_name,
        actor=actor,
        reason=stops.reason_of(reason, needed=False),
        until=until,
    )


def drain(
    namespace_name: str, *, actor: Actor, reason: str, until: datetime | None = None
) -> NamespaceStatus:
    """Let the namespace finish what runs, and start nothing new. Raises StillHalted, NamespaceUnknown, ReasonInvalid, UntilInvalid."""
    return _stop(
        Stopped.DRAIN, namespace_name, actor=actor, reason=stops.reason_of(reason), until=until
    )


def resume(namespace_name: str, *, actor: Actor, reason: str) -> NamespaceStatus:
    """End the halt or drain: the same cycles go on. One that runs stays as it is. Raises NamespaceUnknown, ReasonInvalid."""
    actor.require(Scope.OPERATE)
    actor.require_namespace(namespace_name)
    _resume(namespace_name, actor=actor, reason=stops.reason_of(reason), expired_only=False)
    return status.find(namespace_name, actor=actor)


def lift_expired(*, limit: int = 100) -> int:
    """End the halts and drains whose time is over, on record; return how many there were. Nobody waits for it: the gate is open already."""
    names = [name for name in stops.expired(limit) if name is not None]
    for name in names:
        _resume(name, actor=SYSTEM, reason=OVER, expired_only=True)
    return len(names)


def quieted(stop_id: int, *, at: datetime, certificate: str) -> None:
    """Keep the ``certificate`` (JSON) of a halt or pause under which nothing is in flight since ``at``; nothing where it has ended meanwhile."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(HOLD, [stop_id])
        cursor.execute(QUIET, {"stop": stop_id, "at": at, "certificate": certificate})


def _stop(
    kind: Stopped, name: str, *, actor: Actor, reason: str, until: datetime | None
) -> NamespaceStatus:
    actor.require(Scope.OPERATE)
    stops.check_until(until)
    actor.require_namespace(name)
    with audit.transaction():
        made = (
            kind == Stopped.HALT
            and actor.namespaces is None
            and actor.may(Scope.ADMINISTER)
            and registry.is_name(name)
            and bool(registry.ensure([name]))
        )
        before = _lock(name)
        by = actor.name
        if kind == Stopped.DRAIN and before.stops == Stopped.HALT:
            raise StillHalted(f"{name} is halted, which is more than draining. Resume it first.")
        begins = before.stops != kind
        if begins:
            for other in (Stopped.HALT, Stopped.DRAIN):
                stops.end(other, before.id, by=by, reason=OVER if before.over else str(kind))
            stops.begin(kind, before.id, by=by, reason=reason, until=until)
            mode = Mode.HALTING if kind == Stopped.HALT else Mode.DRAINING
        else:
            found = stops.held(kind, before.id) or stops.Held(
                0, before.reason, before.by, before.since, before.until, before.over
            )
            reason, by, until = stops.amended(reason, until, by=by, now=found)
            stops.amend(kind, before.id, by=by, reason=reason, until=until)
            mode = before.mode
        if begins or (reason, until) != (before.reason, before.until):
            _set(before, mode, by=by, reason=reason, until=until, begins=begins)
            after = {
                "state": str(mode),
                "until": stops.plain(until),
                **({"created": True} if made else {}),
            }
            _record(
                Action.NAMESPACE_HALTED if kind == Stopped.HALT else Action.NAMESPACE_DRAINED,
                name,
                before,
                after,
                actor=actor,
                reason=reason or "none given",
            )
    return status.find(name, actor=actor)


def _resume(name: str, *, actor: Actor, reason: str, expired_only: bool) -> None:
    with audit.transaction():
        before = _lock(name)
        if before.mode == Mode.RUNNING or (expired_only and not before.over):
            return
        for kind in (Stopped.HALT, Stopped.DRAIN):
            stops.end(kind, before.id, by=actor.name, reason=reason)
        _set(before, Mode.RUNNING, by=actor.name, reason="", until=None, begins=True)
        told = {
            "state": str(before.mode),
            "by": before.by,
            "reason": before.reason,
            "until": stops.plain(before.until),
        }
        _record(
            Action.NAMESPACE_RESUMED,
            name,
            told,
            {"state": str(Mode.RUNNING)},
            actor=actor,
            reason=reason,
        )


def _lock(name: str) -> _Setting:
    """Hold the namespace's setting until the transaction ends. Raises NamespaceUnknown."""
    with connection.cursor() as cursor:
        if registry.is_name(name):
            cursor.execute(ENSURE, [name])
            cursor.execute(LOCK, [name])
            if row := cursor.fetchone():
                return _Setting(row[0], Mode(row[1]), *row[2:])
    raise NamespaceUnknown(f"There is no namespace {name!r}.")


def _set(
    before: _Setting, mode: Mode, *, by: str, reason: str, until: datetime | None, begins: bool
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            SET,
            {
                "id": before.id,
                "mode": str(mode),
                "by": by[:150],
                "reason": reason,
                "until": until,
                "begins": begins,
            },
        )
    stops.ring()


def _record(
    action: Action,
    name: str,
    before: _Setting | dict[str, Any],
    after: dict[str, Any],
    *,
    actor: Actor,
    reason: str,
) -> None:
    told = before.told() if isinstance(before, _Setting) else before
    audit.record(action, actor=actor.name, object_id=name, namespace=name, before=told, after=after, reason=reason)  # fmt: skip

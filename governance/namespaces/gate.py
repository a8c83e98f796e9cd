"""The gate: may work go on in a namespace? Asked before a trigger, and inside every statement that claims work.

A halt or a pause that has committed stops the very next claim. One whose ``until`` has passed holds nothing any more, whether somebody has
put that on record yet or not. NOTIFY on ``CHANNEL`` only says that it is worth looking; nobody relies on it.
"""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import connection

from governance.access.actors import NamespaceUnknown
from governance.kernel.errors import Kind, OrbitError
from governance.states import Mode

CHANNEL = "orbit_gate"


class NamespaceHalted(OrbitError):
    """This namespace is halted."""

    code, kind = "namespace_halted", Kind.LOCKED


class NamespaceDraining(OrbitError):
    """This namespace finishes what runs and starts nothing."""

    code, kind = "namespace_draining", Kind.LOCKED


class GloballyPaused(OrbitError):
    """Everything is paused."""

    code, kind = "globally_paused", Kind.LOCKED


#: What the gate refuses a trigger with.
REFUSALS = (NamespaceHalted, NamespaceDraining, GloballyPaused)

#: The console's pause, as it stands. It refers to nothing outside, so a statement looks once, however many rows it asks for.
PAUSE_SQL = """governance_stop p WHERE p.namespace_id IS NULL AND p.kind = 'pause' AND p.ended_at IS NULL AND (p.until IS NULL OR p.until > now())"""
_GATE = f"""NOT EXISTS (SELECT 1 FROM governance_governancesetting s JOIN governance_namespace n ON n.id = s.namespace_id
        WHERE n.name = {{namespace}} AND {{closed}} AND (s.until IS NULL OR s.until > now()))
        AND NOT EXISTS (SELECT 1 FROM {PAUSE_SQL})"""
#: For a claim's WHERE: work may go on. ``{namespace}`` is the column that names the namespace.
OPEN_SQL = _GATE.replace("{closed}", "s.halt")
#: Likewise: something new may start.
STARTS_SQL = _GATE.replace("{closed}", "s.mode <> 'running'")
#: How many seconds since ``{start}`` the work in ``{namespace}`` was halted or paused: time that counts against no deadline.
STOPPED_SECONDS_SQL = """coalesce((SELECT extract(epoch FROM sum(upper(spell) - lower(spell))) FROM (
        SELECT unnest(range_agg(tstzrange(greatest(h.since, {start}), greatest(h.since, {start}, least(h.ended_at, h.until, clock_timestamp()))))) AS spell
        FROM governance_stop h WHERE h.kind IN ('halt', 'pause') AND (h.ended_at IS NULL OR h.ended_at > {start})
            AND (h.namespace_id IS NULL OR h.namespace_id = (SELECT n.id FROM governance_namespace n WHERE n.name = {namespace}))) AS spells), 0)::float8"""

# The pause first, without a name; then each namespace that there is.
READ = f"""SELECT NULL, 'paused', p.reason, p.started_by, p.since, p.until FROM {PAUSE_SQL}
UNION ALL SELECT n.name, CASE WHEN s.until IS NULL OR s.until > now() THEN s.mode ELSE '{Mode.RUNNING}' END, s.reason, s.changed_by, s.since, s.until
FROM governance_namespace n LEFT JOIN governance_governancesetting s ON s.namespace_id = n.id WHERE n.name = ANY(%s)"""
#: Of ``%(names)s`` those in which no work may go on.
CLOSED = f"SELECT given.name FROM unnest(%(names)s::text[]) AS given(name) WHERE NOT ({OPEN_SQL.format(namespace='given.name')})"


def paused_here() -> bool:
    """Tell whether this process is paused by its environment."""
    return bool(settings.ORBIT_GLOBAL_PAUSE)


def refuse_if_stopped(namespace: str) -> None:
    """Raise GloballyPaused, NamespaceUnknown, NamespaceHalted or NamespaceDraining where no work may start in ``namespace``."""
    paused, known = _read([namespace])
    if paused is not None:
        raise paused
    if namespace not in known:
        raise NamespaceUnknown(f"There is no namespace {namespace!r}.")
    refusal = known[namespace]
    if refusal is not None:
        raise refusal


def stops(names: Collection[str]) -> dict[str, OrbitError]:
    """Return, for each of ``names`` in which nothing may start now, the refusal that says why; one query. Unknown names are open."""
    paused, known = _read(list(names))
    if paused is not None:
        return dict.fromkeys(names, paused)
    return {name: refusal for name, refusal in known.items() if refusal is not None}


def everything_paused() -> GloballyPaused | None:
    """Return the refusal where everything is paused, by this process's environment or by a person."""
    return _read([])[0]


def held_by_environment() -> GloballyPaused:
    """Return the refusal of a process that its environment pauses."""
    return GloballyPaused(
        "ORBIT_GLOBAL_PAUSE is set: everything is paused. Unset it and restart to go on.",
        source="environment",
    )


def _read(names: list[str]) -> tuple[GloballyPaused | None, dict[str, OrbitError | None]]:
    """Return the pause's refusal, and for each of ``names`` that exists its own or None."""
    if paused_here():
        return held_by_environment(), {}
    with connection.cursor() as cursor:
        cursor.execute(READ, [names])
        found = cursor.fetchall()
    paused: GloballyPaused | None = None
    known: dict[str, OrbitError | None] = {}
    for name, mode, reason, by, since, until in found:
        told: dict[str, Any] = {
            "reason": reason or "none given",
            "by": by or "nobody named",
            "since": since,
            "until": until,
        }
        if name is None:
            paused = GloballyPaused(
                f"Everything is paused {_told(**told)} End the pause to go on.",
                source="console",
                **_plain(told),
            )
        elif mode in {Mode.HALTING, Mode.QUIET}:
            known[name] = NamespaceHalted(
                f"{name} is halted {_told(**told)} Resume it to go on.",
                namespace=name,
                **_plain(told),
            )
        elif mode == Mode.DRAINING:
            known[name] = NamespaceDraining(
                f"{name} is draining {_told(**told)} It finishes what runs and starts nothing new.",
                namespace=name,
                **_plain(told),
            )
        else:
            known[name] = None
    return paused, known


def _told(*, reason: str, by: str, since: datetime, until: datetime | None) -> str:
    ends = "" if until is None else f", until {until.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return (
        f"since {since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC{ends} by {by}: {reason.rstrip('.')}."
    )


def _plain(told: dict[str, Any]) -> dict[str, Any]:
    """Return what is told in the form that JSON holds."""
    return {
        key: value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        if isinstance(value, datetime)
        else value
        for key, value in told.items()
    }

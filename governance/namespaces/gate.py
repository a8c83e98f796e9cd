"""The gate: may work go on in a namespace? Asked before a trigger, and inside every statement that claims work.

A halt or a pause that has committed stops the very next claim. One whose ``until`` has passed holds nothing any more, whether somebody has
put that on record yet or not. NOTIFY on ``CHANNEL`` only says that it is worth looking; nobody relies on it.
"""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from django.conf import settings

from governance.access.actors import NamespaceUnknown
from governance.kernel import sql
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

PAUSE = sql.fragment(__name__, "pause")
#: Conditions for a WHERE; their argument is the column that names the namespace.
OPEN = sql.fragment(__name__, "gate_is_open", pause=PAUSE)
STARTS = sql.fragment(__name__, "gate_lets_start", pause=PAUSE)
STOPPED_SECONDS = sql.fragment(__name__, "stopped_seconds")

READ = sql.load(__name__, "read_gate", pause=PAUSE)
CLOSED = sql.load(__name__, "closed_namespaces", gate_is_open=OPEN)

# For statements that are not in a file yet.
PAUSE_SQL = PAUSE.text
OPEN_SQL = OPEN.text.replace("{{namespace}}", "{namespace}")
STARTS_SQL = STARTS.text.replace("{{namespace}}", "{namespace}")
STOPPED_SECONDS_SQL = STOPPED_SECONDS.text.replace("{{namespace}}", "{namespace}").replace(
    "{{start}}", "{start}"
)


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
    found = READ.rows(names=names)
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

"""The gate: whether work may start, or go on, in a namespace.

Every statement that claims work contains its condition, so a committed stop holds back the very
next claim.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.conf import settings

from governance.access.actors import NamespaceUnknown
from governance.kernel import reasons, sql
from governance.kernel.errors import Kind, OrbitError
from governance.states import Mode

# A notification is only a hint: listeners read the gate themselves.
CHANNEL = "orbit_gate"


class NamespaceHalted(OrbitError):
    """This namespace is halted."""

    code, kind = "namespace_halted", Kind.LOCKED


class NamespaceDraining(OrbitError):
    """This namespace is draining: it finishes what runs and starts nothing new."""

    code, kind = "namespace_draining", Kind.LOCKED


class GloballyPaused(OrbitError):
    """Everything is paused."""

    code, kind = "globally_paused", Kind.LOCKED


#: The refusals of a trigger.
REFUSALS = (NamespaceHalted, NamespaceDraining, GloballyPaused)

PAUSE = sql.fragment(__name__, "pause")
#: Conditions for a WHERE. The argument is the column with the namespace's name.
OPEN = sql.fragment(__name__, "gate_is_open", pause=PAUSE)
STARTS = sql.fragment(__name__, "gate_lets_start", pause=PAUSE)
STOPPED_SECONDS = sql.fragment(__name__, "stopped_seconds")

READ = sql.load(__name__, "read_gate", pause=PAUSE)
CLOSED = sql.load(__name__, "closed_namespaces", gate_is_open=OPEN)


def paused_here() -> bool:
    """Return whether ORBIT_GLOBAL_PAUSE pauses this process."""
    return bool(settings.ORBIT_GLOBAL_PAUSE)


def ensure_may_start(namespace: str) -> None:
    """Raise one of ``REFUSALS`` or NamespaceUnknown unless work may start."""
    paused, refusals = read([namespace])
    if paused is not None:
        raise paused
    if namespace not in refusals:
        raise NamespaceUnknown(f"There is no namespace {namespace!r}.")
    refusal = refusals[namespace]
    if refusal is not None:
        raise refusal


def refusals(names: Collection[str]) -> dict[str, OrbitError]:
    """Return the refusal for each of ``names`` that is stopped; unknown ones aren't."""
    paused, by_name = read(list(names))
    if paused is not None:
        return dict.fromkeys(names, paused)
    return {name: refusal for name, refusal in by_name.items() if refusal is not None}


def everything_paused() -> GloballyPaused | None:
    """Return the refusal if the workspace is paused."""
    return read([])[0]


def held_by_environment() -> GloballyPaused:
    """Return the refusal of a process that ORBIT_GLOBAL_PAUSE pauses."""
    return GloballyPaused(
        "ORBIT_GLOBAL_PAUSE is set: everything is paused. Unset it and restart to go on.",
        source="environment",
    )


def read(names: list[str]) -> tuple[GloballyPaused | None, dict[str, OrbitError | None]]:
    """Return the refusal of the pause, and of each existing namespace of ``names``."""
    if paused_here():
        return held_by_environment(), {}
    paused: GloballyPaused | None = None
    refusals: dict[str, OrbitError | None] = {}
    for name, mode, reason, by, since, until in READ.send(names=names):
        stop = _Stop(reason or reasons.NO_REASON, by or "an unknown user", since, until)
        if name is None:
            paused = GloballyPaused(
                f"Everything is paused {stop} End the pause to go on.",
                source="console",
                **stop.to_dict(),
            )
        else:
            refusals[name] = _refusal(name, mode, stop)
    return paused, refusals


@dataclass(frozen=True, slots=True)
class _Stop:
    """A stop in force; as text, the middle of a sentence."""

    reason: str
    by: str
    since: datetime
    until: datetime | None

    def __str__(self) -> str:
        until = "" if self.until is None else f", until {_to_text(self.until)}"
        return f"since {_to_text(self.since)}{until} by {self.by}: {self.reason.rstrip('.')}."

    def to_dict(self) -> dict[str, Any]:
        return {
            "reason": self.reason,
            "by": self.by,
            "since": _to_iso(self.since),
            "until": _to_iso(self.until),
        }


def _refusal(name: str, mode: str, stop: _Stop) -> OrbitError | None:
    if mode in {Mode.HALTING, Mode.QUIET}:
        return NamespaceHalted(
            f"{name} is halted {stop} Resume it to go on.", namespace=name, **stop.to_dict()
        )
    if mode == Mode.DRAINING:
        return NamespaceDraining(
            f"{name} is draining {stop} It finishes what runs and starts nothing new.",
            namespace=name,
            **stop.to_dict(),
        )
    return None


def _to_text(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _to_iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")

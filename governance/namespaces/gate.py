"""The gate: may work go on in a namespace? Asked before a trigger, and inside every statement that claims work."""

from collections.abc import Collection
from datetime import datetime

from django.conf import settings
from django.db import connection

from governance.access.actors import NamespaceUnknown
from governance.kernel.errors import Kind, OrbitError
from governance.states import Mode


class NamespaceHalted(OrbitError):
    """This namespace is halted."""

    code, kind = "namespace_halted", Kind.LOCKED


class NamespaceDraining(OrbitError):
    """This namespace finishes what runs and starts nothing."""

    code, kind = "namespace_draining", Kind.LOCKED


class GloballyPaused(OrbitError):
    """Everything is paused."""

    code, kind = "globally_paused", Kind.LOCKED


#: For a claim's WHERE; ``{namespace}`` is the column that names the namespace. A halt that has committed stops the very next claim.
OPEN_SQL = """NOT EXISTS (SELECT 1 FROM governance_governancesetting s JOIN governance_namespace n ON n.id = s.namespace_id
        WHERE n.name = {namespace} AND s.halt)"""

#: The same for what starts something new: a draining namespace finishes what runs.
STARTS_SQL = """NOT EXISTS (SELECT 1 FROM governance_governancesetting s JOIN governance_namespace n ON n.id = s.namespace_id
        WHERE n.name = {namespace} AND (s.halt OR s.mode = 'draining'))"""

READ = """SELECT n.name, s.mode, s.halt, s.reason, s.changed_by, s.since FROM governance_namespace n
LEFT JOIN governance_governancesetting s ON s.namespace_id = n.id WHERE n.name = ANY(%s)"""


def paused_here() -> bool:
    """Tell whether this process is paused by its environment."""
    return bool(settings.ORBIT_GLOBAL_PAUSE)


def everything_paused() -> GloballyPaused | None:
    """Return the refusal where nothing at all may start, else None."""
    if paused_here():
        return GloballyPaused("ORBIT_GLOBAL_PAUSE is set: everything is paused. Unset it and restart to go on.")
    return None


def stops(names: Collection[str]) -> dict[str, OrbitError]:
    """Return, of the namespaces ``names``, the refusal of each where nothing may start; one query. Those that don't exist are among them."""
    with connection.cursor() as cursor:
        cursor.execute(READ, [list(names)])
        found = {name: _stop(name, *rest) for name, *rest in cursor.fetchall()}
    missing: dict[str, OrbitError] = {name: NamespaceUnknown(f"There is no namespace {name!r}.") for name in names if name not in found}
    return missing | {name: stop for name, stop in found.items() if stop is not None}


def refuse_if_stopped(namespace: str) -> None:
    """Raise GloballyPaused, NamespaceUnknown, NamespaceHalted or NamespaceDraining where no work may start in ``namespace``."""
    stop = everything_paused() or stops([namespace]).get(namespace)
    if stop is not None:
        raise stop


def _stop(namespace: str, mode: str | None, halt: bool | None, reason: str, by: str, since: datetime) -> OrbitError | None:
    if halt:
        return NamespaceHalted(f"{namespace} is halted since {since:%Y-%m-%d %H:%M:%S} UTC by {by}: {reason or 'none given'}. Resume it to go on.")
    if mode == Mode.DRAINING:
        return NamespaceDraining(f"{namespace} is draining since {since:%Y-%m-%d %H:%M:%S} UTC by {by}: it starts nothing new.")
    return None

"""The gate: may work go on in a namespace? Asked before a trigger, and inside every statement that claims work."""

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


#: What the gate refuses a trigger with.
REFUSALS = (NamespaceHalted, NamespaceDraining, GloballyPaused)


#: For a claim's WHERE; ``{namespace}`` is the column that names the namespace. A halt that has committed stops the very next claim.
OPEN_SQL = """NOT EXISTS (SELECT 1 FROM governance_governancesetting s JOIN governance_namespace n ON n.id = s.namespace_id
        WHERE n.name = {namespace} AND s.halt)"""

READ = """SELECT s.mode, s.halt, s.reason, s.changed_by, s.since FROM governance_namespace n
LEFT JOIN governance_governancesetting s ON s.namespace_id = n.id WHERE n.name = %s"""


def paused_here() -> bool:
    """Tell whether this process is paused by its environment."""
    return bool(settings.ORBIT_GLOBAL_PAUSE)


def refuse_if_stopped(namespace: str) -> None:
    """Raise GloballyPaused, NamespaceUnknown, NamespaceHalted or NamespaceDraining where no work may start in ``namespace``."""
    if paused_here():
        raise GloballyPaused("ORBIT_GLOBAL_PAUSE is set: everything is paused. Unset it and restart to go on.")
    with connection.cursor() as cursor:
        cursor.execute(READ, [namespace])
        row = cursor.fetchone()
    if row is None:
        raise NamespaceUnknown(f"There is no namespace {namespace!r}.")
    mode, halt, reason, by, since = row
    if halt:
        raise NamespaceHalted(f"{namespace} is halted since {since:%Y-%m-%d %H:%M:%S} UTC by {by}: {reason or 'none given'}. Resume it to go on.")
    if mode == Mode.DRAINING:
        raise NamespaceDraining(f"{namespace} is draining since {since:%Y-%m-%d %H:%M:%S} UTC by {by}: it starts nothing new.")

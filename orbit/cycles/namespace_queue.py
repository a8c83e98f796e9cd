"""Promote the next queued cycle of a namespace when the active one ends.

Until that commits, a trigger waits at the unique index and then finds the promoted cycle. So a
write that ends a cycle never fails because of a promotion.
"""

from collections.abc import Sequence
from uuid import UUID

from django.db import IntegrityError, connection, transaction

from governance.kernel import sql
from governance.kernel.constraints import violated
from governance.kernel.errors import OrbitError
from governance.namespaces import gate
from orbit import queue
from orbit.cycles import creation
from orbit.cycles.creation import ActiveCycle
from orbit.models import CycleRun

# At most so many namespaces at once, and so many queued cycles counted.
_MOST = 200
_MOST_WAKEUPS = 4

# The gate's condition keeps its argument ``namespace``, which is this fragment's own.
_NEXT = sql.fragment(__name__, "next_in_queue", gate_lets_start=gate.STARTS.text)
#: A CTE for fenced statements that have ``finishes``.
PROMOTE_NEXT = sql.fragment(__name__, "promote_next", next_in_queue=_NEXT)
PROMOTE_IN = sql.load(__name__, "promote_in", next_in_queue=_NEXT)
PROMOTE_IN_ALL = sql.load(__name__, "promote_in_all", next_in_queue=_NEXT)
QUEUED_BEFORE = sql.load(__name__, "queued_before")
WAITING = sql.load(__name__, "waiting_namespaces", gate_lets_start=gate.STARTS)


def promote_next(namespace: str) -> bool:
    """Promote the next queued cycle; return whether there was one.

    Call it in the transaction that ended the active cycle.
    """
    promoted = PROMOTE_IN.one(namespace=namespace) is not None
    if promoted:
        queue.wake()
    return promoted


def promote_waiting() -> int:
    """Promote where no cycle is active; return how many."""
    if gate.everything_paused():
        return 0
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext('orbit.turns'))")
            (is_alone,) = cursor.fetchone()
        if not is_alone:
            return 0  # another process does it
        # A halt, a drain or a pause leaves them without an active cycle.
        namespaces = [namespace for (namespace,) in WAITING.rows(most=_MOST)]
        if not namespaces:
            return 0
        promoted = _promote_in_all(namespaces)
        if promoted is None:
            # Leave out the namespace in which a trigger came first.
            promoted = sum(_promote_in_all([namespace]) or 0 for namespace in namespaces)
        return promoted


def waits_for(cycles: Sequence[CycleRun]) -> dict[UUID, str]:
    """Return what each queued cycle waits for, to end a sentence. At most three queries."""
    if not cycles:
        return {}
    namespaces = {cycle.namespace_id for cycle in cycles}
    stops = gate.refusals(namespaces)
    active = creation.active_cycles(namespaces)
    before = dict(QUEUED_BEFORE.rows(cycles=[cycle.pk for cycle in cycles], most=_MOST))
    return {
        cycle.pk: _waits_for(
            cycle.namespace_id,
            stops.get(cycle.namespace_id),
            active.get(cycle.namespace_id),
            before.get(cycle.pk, 0),
        )
        for cycle in cycles
    }


def _waits_for(
    namespace: str, stop: OrbitError | None, active: ActiveCycle | None, ahead: int
) -> str:
    if stop is not None:
        return f"nothing starts now: {stop.detail.rstrip('.')}"
    others = f"; {ahead} more {'is' if ahead == 1 else 'are'} queued before it" if ahead else ""
    if active is None:
        return f"nothing is active in {namespace}; a cluster starts it within a second{others}"
    return f"it waits for the cycle {active.id}, which is {active.status} in {namespace}{others}"


def _promote_in_all(namespaces: list[str]) -> int | None:
    try:
        with transaction.atomic():
            promoted = len(PROMOTE_IN_ALL.rows(namespaces=namespaces))
            for _ in range(min(promoted, _MOST_WAKEUPS)):
                queue.wake()
            return promoted
    except IntegrityError as error:
        if violated(error) != "one_active_cycle_per_namespace":
            raise
        return None  # a trigger came first in one of them: none was promoted

"""Turns: cycles that are queued behind others of their namespace, and how the next one gets its turn.

The oldest queued cycle becomes pending in the transaction that ends the active one before it. Until that commits, whoever starts a cycle in
the namespace waits at the unique index, and then finds the promoted one there: so a write that ends a cycle never meets a rival, and never
fails for the sake of a promotion. A queued cycle that somebody is at, who cancels it for instance, isn't waited for: the one behind it is taken.

What is left, the keeper promotes: queued cycles of namespaces without an active one. They are there after a halt, a drain or a pause, under
which nothing starts. A trigger may be quicker then; it wins, and the queued ones wait on behind it.
"""

from django.db import IntegrityError, connection, transaction

from governance.kernel.constraints import violated
from governance.namespaces import gate
from orbit import queue
from orbit.cycles import creation
from orbit.models import CycleRun
from orbit.states import Cycle

_MOST = 200
_MOST_WAKEUPS = 4
_GUARD = "one_active_cycle_per_namespace"


def _next(namespace: str) -> str:
    """Return the subquery that locks the cycle whose turn it is in the namespace that the SQL ``namespace`` names."""
    return f"""SELECT q.id FROM orbit_cyclerun q WHERE q.namespace = {namespace} AND q.status = 'queued'
        AND {gate.STARTS_SQL.format(namespace=namespace)} ORDER BY q.id LIMIT 1 FOR NO KEY UPDATE OF q SKIP LOCKED"""


_TURN = "UPDATE orbit_cyclerun c SET status = 'pending', next_due_at = clock_timestamp()"

#: For a statement with a CTE ``finishes``: (namespace, ended) of the cycles that it ends, which it has to return after their update.
PROMOTE_CTE = f"""promotes AS (
    {_TURN} FROM finishes JOIN LATERAL ({_next("finishes.namespace")}) AS next ON finishes.ended WHERE c.id = next.id)"""

PROMOTE = f"{_TURN} FROM ({_next('%(namespace)s')}) AS next WHERE c.id = next.id RETURNING c.id"

ALONE = "SELECT pg_try_advisory_xact_lock(hashtext('orbit.turns'))"
# Namespaces with something queued are few; the index of queued cycles is walked once.
WAITING = f"""SELECT w.namespace FROM (SELECT DISTINCT namespace FROM orbit_cyclerun WHERE status = 'queued') AS w
WHERE NOT EXISTS (SELECT 1 FROM orbit_cyclerun a WHERE a.namespace = w.namespace AND a.status IN ('pending', 'running'))
    AND {gate.STARTS_SQL.format(namespace="w.namespace")} ORDER BY w.namespace LIMIT %s"""
PROMOTE_ALL = f"""{_TURN} FROM unnest(%s::text[]) AS w(namespace) JOIN LATERAL ({_next("w.namespace")}) AS next ON true WHERE c.id = next.id RETURNING c.id"""


def promote_next(namespace: str) -> bool:
    """Give the next queued cycle of ``namespace`` its turn, in the transaction that ended the active one; tell whether there was one."""
    with connection.cursor() as cursor:
        cursor.execute(PROMOTE, {"namespace": namespace})
        promoted = cursor.fetchone() is not None
    if promoted:
        queue.wake()
    return promoted


def waits_for(cycle: CycleRun) -> str:
    """Say what the queued ``cycle`` waits for, as the end of a sentence; two or three queries."""
    namespace = cycle.namespace_id
    stop = gate.everything_paused() or gate.stops([namespace]).get(namespace)
    if stop is not None:
        return f"nothing starts now: {stop.detail.rstrip('.')}"
    ahead = CycleRun.objects.filter(namespace_id=namespace, status=Cycle.QUEUED, id__lt=cycle.pk)[
        :_MOST
    ].count()
    others = f", and {ahead} more {'is' if ahead == 1 else 'are'} queued before it" if ahead else ""
    active = creation.active_cycles([namespace]).get(namespace)
    if active is None:
        return f"nothing is active in {namespace}, so its turn comes with the next look of a cluster{others}"
    return f"it waits for the cycle {active.id}, which is {active.status} in {namespace}{others}"


def promote_waiting() -> int:
    """Promote the next queued cycle of up to two hundred namespaces where nothing is active and something may start; return how many.

    Nothing happens in a paused process. One keeper at a time does it; a namespace in which a trigger was quicker is left for the next time.
    """
    if gate.everything_paused():
        return 0
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(ALONE)
        if not cursor.fetchone()[0]:
            return 0
        cursor.execute(WAITING, [_MOST])
        namespaces = [row[0] for row in cursor.fetchall()]
        promoted = _promote_all(namespaces) if namespaces else 0
        if promoted is None:
            promoted = sum(_promote_all([namespace]) or 0 for namespace in namespaces)
        return promoted


def _promote_all(namespaces: list[str]) -> int | None:
    """Promote one cycle for each of ``namespaces``; None, with nothing promoted, where a trigger was quicker in one of them."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(PROMOTE_ALL, [namespaces])
            promoted = len(cursor.fetchall())
            for _ in range(min(promoted, _MOST_WAKEUPS)):
                queue.wake()
            return promoted
    except IntegrityError as error:
        if violated(error) != _GUARD:
            raise
        return None

"""The watch: what every keeper does again and again, so that no cycle is forgotten and no table runs out of room.

None of it needs to be done by one keeper alone: two that do it at once do it twice, and that changes nothing.
"""

from uuid import UUID

from django.db import connection
from django.db.models.functions import Now

from governance.namespaces import gate
from orbit import queue
from orbit.models import ClusterNode

FORGOTTEN_AFTER = 0.3
OPERATION_FORGOTTEN_AFTER = 3.0
_MOST_OPERATIONS = 100

# A wake-up of its own is under way for a cycle that came due just now; who is later than that was forgotten.
DUE = f"""SELECT count(*) FROM (SELECT 1 FROM orbit_cyclerun AS c
WHERE c.next_due_at <= now() - %(late)s * interval '1 second' AND (c.lease_expires_at IS NULL OR c.lease_expires_at <= now())
AND {gate.OPEN_SQL.format(namespace="c.namespace")} LIMIT %(most)s) AS forgotten"""
DUE_OPERATIONS = """SELECT id FROM governance_operationrun WHERE status IN ('queued', 'running') AND next_due_at <= now() - %s * interval '1 second'
ORDER BY next_due_at LIMIT %s"""
AHEAD = """SELECT telemetry_ensure_partitions(today - 1, today + 7) + orbit_ensure_partitions(today - 31, today + 366)
FROM (SELECT (now() AT TIME ZONE 'UTC')::date AS today) AS day"""
OLD_ANSWERS = """DELETE FROM governance_idempotentrequest WHERE id IN
(SELECT id FROM governance_idempotentrequest WHERE created_at < now() - interval '24 hours' ORDER BY created_at LIMIT %s)"""
OLD_LOGINS = """DELETE FROM governance_loginattempt WHERE id IN
(SELECT id FROM governance_loginattempt WHERE ends_at < now() - interval '1 hour' ORDER BY ends_at LIMIT %s)"""
OLD_COUNTS = """DELETE FROM governance_requestcount WHERE caller IN
(SELECT caller FROM governance_requestcount WHERE minute < now() - interval '1 hour' LIMIT %s)"""
OLD_NODES = "DELETE FROM orbit_clusternode WHERE seen_at < now() - interval '1 day'"


def rescue(workers: int) -> int:
    """Enqueue wake-ups, at most ``workers``, where cycles are due, nobody is at them and no wake-up waits; return how many.

    These are cycles whose wake-up was lost, or whose worker is gone: their lease has run out. Nothing happens in a paused process.
    """
    if gate.paused_here() or queue.ready_wakeups():
        return 0
    with connection.cursor() as cursor:
        cursor.execute(DUE, {"late": FORGOTTEN_AFTER, "most": workers})
        found = int(cursor.fetchone()[0])
    for _ in range(found):
        queue.wake()
    return found


def wake_operations() -> int:
    """Enqueue a task for each operation run whose slice is some seconds late, unless tasks wait for a worker anyway; return how many."""
    if queue.tasks_wait():
        return 0
    with connection.cursor() as cursor:
        cursor.execute(DUE_OPERATIONS, [OPERATION_FORGOTTEN_AFTER, _MOST_OPERATIONS])
        late = [row[0] for row in cursor.fetchall()]
    for run_id in late:
        queue.wake(queue.OPERATE, str(run_id))
    return len(late)


def heartbeat(
    node: UUID, *, host: str, pid: int, release: str, workers: int, draining: bool
) -> None:
    """Write the cluster's row, by the database's clock."""
    state = {
        "workers": workers,
        "paused": gate.paused_here(),
        "draining": draining,
        "seen_at": Now(),
    }
    ClusterNode.objects.update_or_create(
        id=node,
        defaults=state,
        create_defaults={**state, "host": host[:255], "pid": pid, "release": release},
    )


def deregister(node: UUID) -> None:
    """Remove the row of a cluster that ends in good order."""
    ClusterNode.objects.filter(id=node).delete()


def ensure_partitions() -> int:
    """Make the partitions of the days and months ahead; return how many were missing."""
    with connection.cursor() as cursor:
        cursor.execute(AHEAD)
        return int(cursor.fetchone()[0])


def prune(*, limit: int = 10_000) -> None:
    """Delete, up to ``limit`` rows each, what has served: old failed tasks and answers, logins that failed, counts of requests, clusters that vanished."""
    queue.prune_failures(limit=limit)
    with connection.cursor() as cursor:
        cursor.execute(OLD_ANSWERS, [limit])
        cursor.execute(OLD_LOGINS, [limit])
        cursor.execute(OLD_COUNTS, [limit])
        cursor.execute(OLD_NODES)

"""Dead letters in the database, as many as wanted, each of a finished cycle of its own; and slices of operation runs, one after the other."""

import time
from uuid import UUID

from django.db import connection

from governance.models import OperationRun
from governance.namespaces import registry
from orbit import queue, tasks
from orbit.dispatch import endpoints, enqueue

# Ids in the order of their numbers: a UUIDv7 of now, counted in its random part.
MAKE = """WITH n AS MATERIALIZED (SELECT i, (lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') || '7000'
    || '8' || lpad(to_hex(i), 7, '0') || substr(md5(random()::text), 1, 8))::uuid AS id FROM generate_series(1, %(count)s) AS i),
cycles AS (INSERT INTO orbit_cyclerun (id, namespace, status, trigger, context, initiation_hash, input, input_content_type, input_sha256, finished_at,
        fencing_token)
    SELECT id, %(namespace)s, 'failed', 'rest', '{}', repeat('0', 64), '', 'text/plain', repeat('0', 64), now(), 1 FROM n),
marks AS (INSERT INTO orbit_cyclecheckpoint (cycle_id, stage, fencing_token)
    SELECT id, stage, 0 FROM n, unnest(ARRAY['cycle_started', 'initiation_complete', 'normalization_complete', 'dispatch_enqueued', 'dispatch_complete',
        'cycle_finished']) AS stage),
initiations AS (INSERT INTO orbit_initiation (id, initiation_hash, namespace) VALUES (gen_random_uuid(), repeat('0', 64), %(namespace)s)
    ON CONFLICT (initiation_hash) DO UPDATE SET namespace = orbit_initiation.namespace RETURNING id),
tiers AS (INSERT INTO orbit_transformation (id, cycle_id, initiation_id, tier, transformer, status, attempts, output, output_sha256)
    SELECT n.id, n.id, initiations.id, 1, 'passthrough', 'success', 1, '', encode(sha256(''), 'hex') FROM n, initiations),
batches AS (INSERT INTO orbit_normalizationbatch (id, cycle_id, processor, item_count) SELECT id, id, 'passthrough', 1 FROM n),
items AS (INSERT INTO orbit_normalizationitem (id, batch_id, transformation_id, payload, content_type, sha256)
    SELECT id, id, id, 'x', 'text/plain', '2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881' FROM n),
jobs AS (INSERT INTO orbit_dispatchjob (id, cycle_id, normalization_item_id, endpoint_key, snapshot_id, delivery_id, status, max_retries, finished_at)
    SELECT id, id, id, %(key)s, %(snapshot)s, gen_random_uuid(), 'dead', %(retries)s, now() FROM n)
INSERT INTO orbit_deadletterdispatch (id, job_id, cycle_id, namespace, endpoint_key, status, reason, last_error, status_code, attempts)
SELECT id, id, id, %(namespace)s, %(key)s, 'open', %(reason)s, replace(%(error)s, '{i}', i::text), %(code)s, 1 FROM n RETURNING id"""


def letters(count: int, *, namespace: str = "a", key: str = "default-endpoint", reason: str = "retries_exhausted", error: str = "HTTP 503",
            code: int | None = 503, retries: int = 0) -> list[UUID]:  # fmt: skip
    """Put ``count`` open dead letters into the database, by the configured endpoint ``key``; return their ids in order. ``{i}`` counts in errors."""
    registry.ensure([namespace])
    snapshot = enqueue.snapshot_id(endpoints.configured()[key])
    values = {
        "count": count,
        "namespace": namespace,
        "key": key,
        "snapshot": snapshot,
        "reason": reason,
        "error": error,
        "code": code,
        "retries": retries,
    }
    with connection.cursor() as cursor:
        cursor.execute(MAKE, values)
        return sorted(row[0] for row in cursor.fetchall())


def due(run_id: UUID) -> None:
    """Make the run's next slice due now."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE governance_operationrun SET next_due_at = clock_timestamp() WHERE id = %s AND next_due_at IS NOT NULL",
            [run_id],
        )


def operate(run_id: UUID, slices: int = 1) -> OperationRun:
    """Do slices of the run at once, without the waits between them; return it."""
    for _ in range(slices):
        due(run_id)
        tasks.operate(str(run_id))
    return OperationRun.objects.get(pk=run_id)


def work(seconds: float) -> None:
    """Do for a while what a worker does with tasks of operation runs, when they are due."""
    ends = time.monotonic() + seconds
    broker = queue.PgBroker()
    while time.monotonic() < ends:
        for row, payload in broker.dequeue():
            task = queue.read(row, payload)
            if task is not None and task["func"] == queue.OPERATE:
                tasks.operate(*task["args"])
            broker.delete(row)
        time.sleep(0.02)

"""Create dead letters by the thousand, and run operation runs."""

import time
from collections.abc import Callable
from uuid import UUID

from django.db import connection

from governance.models import OperationRun
from governance.namespaces import registry
from orbit import queue, tasks
from orbit.dispatch import endpoints, enqueue

# The ids sort in the order of their numbers: a UUIDv7 of now with a counter in its random part.
CREATE = """
WITH numbers AS MATERIALIZED (
    SELECT i, (
        lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') || '7000'
        || '8' || lpad(to_hex(i), 7, '0') || substr(md5(random()::text), 1, 8)
    )::uuid AS id
    FROM generate_series(1, %(count)s) AS i
),
cycles AS (
    INSERT INTO orbit_cyclerun (
        id, namespace, status, trigger, context, initiation_hash, input, input_content_type,
        input_sha256, finished_at, fencing_token
    )
    SELECT id, %(namespace)s, 'failed', 'rest', '{}', repeat('0', 64), '', 'text/plain',
        repeat('0', 64), now(), 1
    FROM numbers
),
checkpoints AS (
    INSERT INTO orbit_cyclecheckpoint (cycle_id, stage, fencing_token)
    SELECT id, stage, 0
    FROM numbers, unnest(ARRAY[
        'cycle_started', 'initiation_complete', 'normalization_complete', 'dispatch_enqueued',
        'dispatch_complete', 'cycle_finished'
    ]) AS stage
),
initiations AS (
    INSERT INTO orbit_initiation (id, initiation_hash, namespace)
    VALUES (gen_random_uuid(), repeat('0', 64), %(namespace)s)
    ON CONFLICT (initiation_hash) DO UPDATE SET namespace = orbit_initiation.namespace
    RETURNING id
),
transformations AS (
    INSERT INTO orbit_transformation (
        id, cycle_id, initiation_id, tier, transformer, status, attempts, output, output_sha256
    )
    SELECT numbers.id, numbers.id, initiations.id, 1, 'passthrough', 'success', 1, '',
        encode(sha256(''), 'hex')
    FROM numbers, initiations
),
batches AS (
    INSERT INTO orbit_normalizationbatch (id, cycle_id, processor, item_count)
    SELECT id, id, 'passthrough', 1 FROM numbers
),
items AS (
    INSERT INTO orbit_normalizationitem (
        id, batch_id, transformation_id, payload, content_type, sha256
    )
    SELECT id, id, id, 'x', 'text/plain',
        '2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881'
    FROM numbers
),
jobs AS (
    INSERT INTO orbit_dispatchjob (
        id, cycle_id, normalization_item_id, endpoint_key, snapshot_id, delivery_id, status,
        max_retries, finished_at
    )
    SELECT id, id, id, %(key)s, %(snapshot)s, gen_random_uuid(), 'dead', %(retries)s, now()
    FROM numbers
)
INSERT INTO orbit_deadletterdispatch (
    id, job_id, cycle_id, namespace, endpoint_key, status, reason, last_error, status_code, attempts
)
SELECT id, id, id, %(namespace)s, %(key)s, 'open', %(reason)s,
    replace(%(error)s, '{i}', i::text), %(code)s, 1
FROM numbers
RETURNING id
"""


def create_dead_letters(
    count: int,
    *,
    namespace: str = "a",
    key: str = "default-endpoint",
    reason: str = "retries_exhausted",
    error: str = "HTTP 503",
    code: int | None = 503,
    retries: int = 0,
) -> list[UUID]:
    """Create open dead letters, each of its own finished cycle; return their ids.

    ``{i}`` in ``error`` becomes the number.
    """
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
        cursor.execute(CREATE, values)
        return sorted(row[0] for row in cursor.fetchall())


def make_due(run_id: UUID) -> None:
    """Make the run's next batch due now."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE governance_operationrun SET next_due_at = clock_timestamp()"
            " WHERE id = %s AND next_due_at IS NOT NULL",
            [run_id],
        )


def run_batches(run_id: UUID, batches: int = 1) -> OperationRun:
    """Run all batches without waits; return the operation run."""
    for _ in range(batches):
        make_due(run_id)
        tasks.operate(str(run_id))
    return OperationRun.objects.get(pk=run_id)


def run_operation_tasks(*, until: Callable[[], bool]) -> None:
    """Run due tasks of operation runs ``until`` returns True; 60 s at most."""
    deadline = time.monotonic() + 60
    broker = queue.PgBroker()
    while not until():
        assert time.monotonic() < deadline
        for row, payload in broker.dequeue():
            task = queue.read(row, payload)
            if task is not None and task["func"] == queue.OPERATE:
                tasks.operate(*task["args"])
            broker.delete(row)
        time.sleep(0.02)

"""Two weeks of cycles in the namespaces ``eu``, ``us`` and ``apac``."""

from django.db import connection

# Six cycles a day for two weeks in each namespace: well but for a bad day of eu, a week ago.
HISTORY = """
WITH numbers AS MATERIALIZED (
    SELECT n.namespace, at, gen_random_uuid() AS receipt, (
        lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7000'
        || '8' || substr(md5(n.namespace || i), 1, 15)
    )::uuid AS id,
    CASE
        WHEN i > 84 THEN 'partial_success'
        WHEN n.namespace = 'eu' AND i BETWEEN 40 AND 44 THEN 'failed'
        WHEN n.namespace = 'eu' AND i = 45 THEN 'partial_success'
        WHEN n.namespace = 'apac' AND i = 20 THEN 'cancelled'
        ELSE 'success'
    END AS status
    FROM unnest(ARRAY['eu', 'us', 'apac']) AS n (namespace),
        generate_series(1, CASE n.namespace WHEN 'eu' THEN 184 ELSE 84 END) AS i,
        LATERAL (
            SELECT now() - CASE
                WHEN i <= 84 THEN i * interval '4 hours'
                ELSE interval '26 hours' + (i - 84) * interval '17 minutes'
            END AS at
        ) AS times
),
cycles AS (
    INSERT INTO orbit_cyclerun (
        id, namespace, status, trigger, profile_id, profile_revision, run_profile_id,
        run_profile_revision, context, initiation_hash, input, input_content_type, input_sha256,
        created_at, started_at, finished_at, fencing_token
    )
    SELECT id, namespace, status, 'cron', 'daily', 1, 'daily-' || namespace, 1, '{}',
        repeat('0', 64), '{}', 'application/json', repeat('0', 64), at, at,
        at + interval '1 second' * (20 + length(status)), 1
    FROM numbers
),
checkpoints AS (
    INSERT INTO orbit_cyclecheckpoint (cycle_id, stage, fencing_token, created_at)
    SELECT id, stage, 1, at
    FROM numbers, unnest(ARRAY[
        'cycle_started', 'initiation_complete', 'normalization_complete', 'dispatch_enqueued',
        'dispatch_complete', 'cycle_finished'
    ]) AS stage
),
initiations AS (
    INSERT INTO orbit_initiation (id, initiation_hash, namespace)
    VALUES (gen_random_uuid(), repeat('0', 64), 'eu') RETURNING id
),
tiers AS (
    INSERT INTO orbit_transformation (
        id, cycle_id, initiation_id, tier, transformer, status, attempts, output
    )
    SELECT gen_random_uuid(), numbers.id, initiations.id, tier, 'passthrough',
        CASE WHEN numbers.status = 'failed' THEN 'failed' ELSE 'success' END, 1,
        CASE WHEN numbers.status = 'failed' THEN NULL ELSE ''::bytea END
    FROM numbers, initiations, generate_series(1, 3) AS tier
    RETURNING id, cycle_id, tier, status
),
batches AS (
    INSERT INTO orbit_normalizationbatch (id, cycle_id, processor, item_count)
    SELECT id, id, 'passthrough', 3 FROM numbers WHERE status <> 'failed'
),
items AS (
    INSERT INTO orbit_normalizationitem (
        id, batch_id, transformation_id, payload, content_type, sha256
    )
    SELECT id, cycle_id, id, 'x', 'text/plain',
        '2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881'
    FROM tiers WHERE status = 'success'
),
jobs AS (
    INSERT INTO orbit_dispatchjob (
        id, cycle_id, normalization_item_id, endpoint_key, snapshot_id, delivery_id, status,
        attempts, max_retries, created_at, finished_at
    )
    SELECT numbers.id, numbers.id, tiers.id, 'archive', snapshot.id, receipt, 'delivered', 1, 3,
        at, at + interval '2 seconds'
    FROM numbers
    JOIN tiers ON tiers.cycle_id = numbers.id AND tiers.tier = 3, LATERAL (
        SELECT s.id FROM orbit_endpointsnapshot s WHERE s.endpoint_key = 'archive' LIMIT 1
    ) AS snapshot
    WHERE numbers.status <> 'failed'
)
INSERT INTO orbit_deliveryreceipt (
    id, job_id, attempt, status, worker, fencing_token, started_at, finished_at, status_code,
    latency_ms, body_sha256
)
SELECT receipt, id, 1, 'delivered', 'w', 1, at, at + interval '2 seconds', 200,
    40 + extract(hour FROM at)::int, repeat('0', 64)
FROM numbers WHERE status <> 'failed'
"""

# Letters of the last seven hours, of the items of old cycles that weren't well.
LETTERS = """
WITH numbers AS MATERIALIZED (
    SELECT items.*, at, (
        lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7000'
        || '8' || substr(md5(%(key)s || i), 1, 15)
    )::uuid AS letter
    FROM (
        SELECT c.id, c.namespace, t.id AS item, row_number() OVER (ORDER BY c.id DESC, t.tier) AS i
        FROM orbit_cyclerun c JOIN orbit_transformation t ON t.cycle_id = c.id
        WHERE c.status = 'partial_success' AND c.created_at < now() - interval '1 day'
            AND (t.tier < 3 OR %(key)s <> 'archive')   -- that one has arrived
    ) AS items,
        LATERAL (SELECT now() - i * interval '7 hours' / %(count)s AS at) AS times
    WHERE i <= %(count)s
),
jobs AS (
    INSERT INTO orbit_dispatchjob (
        id, cycle_id, normalization_item_id, endpoint_key, snapshot_id, delivery_id, status,
        attempts, spent, max_retries, last_error, created_at, finished_at
    )
    SELECT letter, id, item, %(key)s, (
        SELECT s.id FROM orbit_endpointsnapshot s WHERE s.endpoint_key = %(key)s LIMIT 1
    ), gen_random_uuid(), 'dead', 3, 3, 2, %(error)s, at, at
    FROM numbers
),
receipts AS (
    INSERT INTO orbit_deliveryreceipt (
        id, job_id, attempt, status, worker, fencing_token, started_at, finished_at, status_code,
        error, latency_ms, body_sha256
    )
    SELECT gen_random_uuid(), letter, attempt, 'failed', 'w', 1, at, at, %(code)s, %(error)s, 12,
        '2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881'
    FROM numbers, generate_series(1, 3) AS attempt
)
INSERT INTO orbit_deadletterdispatch (
    id, job_id, cycle_id, namespace, endpoint_key, status, reason, last_error, status_code,
    attempts, created_at
)
SELECT letter, letter, id, namespace, %(key)s, 'open', %(reason)s, %(error)s, %(code)s, 3, at
FROM numbers
"""


def create() -> None:
    """Create them. Endpoints have their snapshots already, and namespaces their rows."""
    with connection.cursor() as cursor:
        cursor.execute(HISTORY)


def add_letters(count: int, key: str, reason: str, error: str, code: int | None) -> None:
    """Create so many dead letters of the endpoint ``key``."""
    with connection.cursor() as cursor:
        cursor.execute(
            LETTERS,
            {"count": count, "key": key, "reason": reason, "error": error, "code": code},
        )

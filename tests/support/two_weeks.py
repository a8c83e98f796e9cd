"""Two weeks of cycles in the namespaces ``eu``, ``us`` and ``apac``."""

from django.db import connection

# Six cycles a day for two weeks in each namespace: well but for a bad day of eu, a week ago.
HISTORY = """
WITH numbers AS MATERIALIZED (
    SELECT n.namespace, at, gen_random_uuid() AS item, (
        lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7000'
        || '8' || substr(md5(n.namespace || i), 1, 15)
    )::uuid AS id,
    CASE
        WHEN n.namespace = 'eu' AND i BETWEEN 40 AND 44 THEN 'failed'
        WHEN n.namespace = 'eu' AND i = 45 THEN 'partial_success'
        WHEN n.namespace = 'apac' AND i = 20 THEN 'cancelled'
        ELSE 'success'
    END AS status
    FROM unnest(ARRAY['eu', 'us', 'apac']) AS n (namespace),
        generate_series(1, 84) AS i,
        LATERAL (SELECT now() - i * interval '4 hours' AS at) AS times
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
    SELECT id, id, 'passthrough', 1 FROM numbers WHERE status <> 'failed'
),
items AS (
    INSERT INTO orbit_normalizationitem (
        id, batch_id, transformation_id, payload, content_type, sha256
    )
    SELECT cycle_id, cycle_id, id, 'x', 'text/plain', repeat('0', 64)
    FROM tiers WHERE tier = 1 AND status = 'success'
),
jobs AS (
    INSERT INTO orbit_dispatchjob (
        id, cycle_id, normalization_item_id, endpoint_key, snapshot_id, delivery_id, status,
        attempts, max_retries, created_at, finished_at
    )
    SELECT numbers.id, numbers.id, numbers.id, snapshot.endpoint_key, snapshot.id, item,
        'delivered', 1, 3, at,
        at + interval '2 seconds'
    FROM numbers, LATERAL (
        SELECT s.id, s.endpoint_key FROM orbit_endpointsnapshot s
        ORDER BY md5(s.endpoint_key || numbers.id) LIMIT 1
    ) AS snapshot
    WHERE status <> 'failed'
)
INSERT INTO orbit_deliveryreceipt (
    id, job_id, attempt, status, worker, fencing_token, started_at, finished_at, status_code,
    latency_ms, body_sha256
)
SELECT item, id, 1, 'delivered', 'w', 1, at, at + interval '2 seconds', 200,
    40 + extract(hour FROM at)::int, repeat('0', 64)
FROM numbers WHERE status <> 'failed'
"""


def create() -> None:
    """Create them. Endpoints have their snapshots already, and namespaces their rows."""
    with connection.cursor() as cursor:
        cursor.execute(HISTORY)

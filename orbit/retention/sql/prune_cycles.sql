-- Delete the next cycles that finished long ago, with all that is theirs. The foreign keys are
-- checked at the end of the transaction, so the order of the parts doesn't matter. A re-run
-- of a cycle holds its row: then the whole family waits for the next prune.
-- The row: how far this batch looked, what was deleted, why others were kept, whom to ask about.
-- params: until timestamptz, after_at timestamptz, after_id uuid, limit int,
-- params: profiles text[], namespaces text[], froms timestamptz[], tos timestamptz[]
WITH RECURSIVE {{chosen_cycles}},
free AS MATERIALIZED (
    SELECT c.id, f.root
    FROM judged j
    JOIN family f USING (root)
    JOIN orbit_cyclerun c ON c.id = f.id
    WHERE j.kept IS NULL
    ORDER BY c.id
    FOR UPDATE OF c SKIP LOCKED
),
chosen AS MATERIALIZED (
    SELECT free.id
    FROM free
    WHERE NOT EXISTS (
        SELECT 1
        FROM family f
        WHERE f.root = free.root AND NOT EXISTS (SELECT 1 FROM free x WHERE x.id = f.id)
    )
),
job AS MATERIALIZED (
    SELECT j.id, j.snapshot_id FROM orbit_dispatchjob j WHERE j.cycle_id IN (SELECT id FROM chosen)
),
letters AS (
    DELETE FROM orbit_deadletterdispatch WHERE cycle_id IN (SELECT id FROM chosen) RETURNING 1
),
receipts AS (
    DELETE FROM orbit_deliveryreceipt WHERE job_id IN (SELECT id FROM job) RETURNING 1
),
jobs AS (
    DELETE FROM orbit_dispatchjob WHERE id IN (SELECT id FROM job) RETURNING 1
),
batches AS (
    DELETE FROM orbit_normalizationbatch WHERE cycle_id IN (SELECT id FROM chosen) RETURNING id
),
items AS (
    DELETE FROM orbit_normalizationitem WHERE batch_id IN (SELECT id FROM batches) RETURNING 1
),
tiers AS (
    DELETE FROM orbit_transformation WHERE cycle_id IN (SELECT id FROM chosen) RETURNING 1
),
cycles AS (
    DELETE FROM orbit_cyclerun
    WHERE id IN (SELECT id FROM chosen)
    RETURNING initiation_hash, finished_at
),
looked AS (
    SELECT finished_at, id FROM batch ORDER BY finished_at DESC, id DESC LIMIT 1
)
SELECT
    (SELECT count(*) FROM batch) AS looked_at,
    (SELECT finished_at FROM looked),
    (SELECT id FROM looked),
    jsonb_build_object(
        'cycles', (SELECT count(*) FROM cycles),
        'transformations', (SELECT count(*) FROM tiers),
        'normalization_batches', (SELECT count(*) FROM batches),
        'normalization_items', (SELECT count(*) FROM items),
        'dispatch_jobs', (SELECT count(*) FROM jobs),
        'delivery_receipts', (SELECT count(*) FROM receipts),
        'dead_letters', (SELECT count(*) FROM letters)
    ),
    (
        SELECT coalesce(jsonb_object_agg(k.reason, k.number), '{}'::jsonb)
        FROM (
            SELECT j.kept AS reason, count(*) AS number
            FROM judged j
            JOIN family f USING (root)
            JOIN batch ON batch.id = f.id
            WHERE j.kept IS NOT NULL
            GROUP BY j.kept
        ) k
    ),
    (SELECT min(finished_at) FROM cycles),
    (SELECT max(finished_at) FROM cycles),
    (SELECT coalesce(array_agg(DISTINCT initiation_hash), '{}') FROM cycles),
    (SELECT coalesce(array_agg(DISTINCT snapshot_id), '{}') FROM job)

-- Delete the next cycles that finished long ago, with all that is theirs. The foreign keys are
-- checked at the end of the transaction, so the order of the parts doesn't matter.
-- The row: how far this batch looked, what was deleted, why others were kept, what had been used.
-- params: until timestamptz, after_at timestamptz, after_id uuid, limit int,
-- params: profiles text[], namespaces text[], froms timestamptz[], tos timestamptz[]
WITH RECURSIVE {{chosen_cycles}},
free AS MATERIALIZED (
    SELECT c.id, f.root
    FROM judged j
    JOIN family f USING (root)
    JOIN orbit_cyclerun c ON c.id = f.id
    WHERE j.kept IS NULL
      -- Looked at again once the row is locked: a requeue may just have committed.
      AND c.finished_at <= %(until)s::timestamptz
      AND c.next_due_at IS NULL
      AND c.lease_owner IS NULL
    ORDER BY c.id
    FOR UPDATE OF c SKIP LOCKED   -- a re-run holds the row of its cycle
),
gone AS MATERIALIZED (   -- families that are free as a whole
    SELECT j.root, j.due
    FROM judged j
    JOIN free USING (root)
    GROUP BY j.root, j.due, j.members
    HAVING count(*) = j.members
),
chosen AS MATERIALIZED (
    SELECT free.id FROM free JOIN gone USING (root)
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
    DELETE FROM orbit_transformation WHERE cycle_id IN (SELECT id FROM chosen) RETURNING initiation_id
),
cycles AS (
    DELETE FROM orbit_cyclerun
    WHERE id IN (SELECT id FROM chosen)
    RETURNING id, initiation_hash, finished_at
),
looked AS (
    SELECT finished_at, id FROM batch ORDER BY finished_at DESC, id DESC LIMIT 1
),
kept AS (
    SELECT j.kept AS reason, sum(j.due) AS number
    FROM judged j
    WHERE j.kept IS NOT NULL
    GROUP BY j.kept
    UNION ALL
    SELECT 'another transaction uses it', sum(j.due)
    FROM judged j
    WHERE j.kept IS NULL AND j.root NOT IN (SELECT root FROM gone)
    HAVING sum(j.due) > 0
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
    (SELECT coalesce(jsonb_object_agg(k.reason, k.number), '{}'::jsonb) FROM kept k),
    (SELECT min(finished_at) FROM cycles),
    (SELECT max(finished_at) FROM cycles),
    (SELECT coalesce(array_agg(id), '{}') FROM cycles),
    (SELECT coalesce(array_agg(DISTINCT initiation_hash), '{}') FROM cycles),
    -- How often each was used by what is deleted.
    (
        SELECT coalesce(jsonb_object_agg(u.initiation_id, u.uses), '{}'::jsonb)
        FROM (SELECT t.initiation_id, count(*) AS uses FROM tiers t GROUP BY t.initiation_id) u
    ),
    (
        SELECT coalesce(jsonb_object_agg(u.snapshot_id, u.uses), '{}'::jsonb)
        FROM (SELECT j.snapshot_id, count(*) AS uses FROM job j GROUP BY j.snapshot_id) u
    )

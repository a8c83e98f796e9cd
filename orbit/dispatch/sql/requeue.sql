-- Requeue open dead letters: close each and make a new job of it. Return those that were requeued.
-- params: letters json, by text, reason text, data jsonb
WITH selected AS (
    SELECT *
    FROM json_to_recordset(%(letters)s::json) AS x(
        id uuid, job_id uuid, snapshot_id uuid, delivery_id uuid, record_id uuid)
),
letters AS (   -- of two requeues at once, the second finds no open letter
    UPDATE orbit_deadletterdispatch l
    SET status = 'requeued',
        requeued_job_id = selected.job_id,
        resolved_by = %(by)s,
        resolved_at = clock_timestamp(),
        resolved_reason = %(reason)s
    FROM selected
    WHERE l.id = selected.id
      AND l.status IN ({{letter_sources}})
      AND (   -- a delivery with a success is never sent again
          SELECT true
          FROM orbit_dispatchjob o
          JOIN orbit_dispatchjob d ON d.delivery_id = o.delivery_id
          WHERE o.id = l.job_id
            AND d.status = 'delivered'
          LIMIT 1   -- not EXISTS: the planner may turn that into a scan of all jobs
      ) IS NULL
    RETURNING
        l.id, l.job_id AS original_id, l.namespace, selected.job_id, selected.snapshot_id,
        selected.delivery_id, selected.record_id
),
jobs AS (
    INSERT INTO orbit_dispatchjob (
        id, cycle_id, normalization_item_id, endpoint_key, snapshot_id, delivery_id, status,
        max_retries, next_attempt_at, requeue_of_id)
    SELECT
        letters.job_id, o.cycle_id, o.normalization_item_id, o.endpoint_key,
        -- null: the original's, so that a receiver that has the delivery doesn't act twice
        coalesce(letters.snapshot_id, o.snapshot_id), coalesce(letters.delivery_id, o.delivery_id),
        'pending', o.max_retries, clock_timestamp(), o.id
    FROM letters
    JOIN orbit_dispatchjob o ON o.id = letters.original_id
    RETURNING id, cycle_id, delivery_id
),
made AS (
    SELECT
        letters.id, letters.namespace, letters.record_id, jobs.id AS job_id, jobs.cycle_id,
        jobs.delivery_id
    FROM letters
    JOIN jobs ON jobs.id = letters.job_id
),
cycles AS MATERIALIZED (
    SELECT c.id
    FROM orbit_cyclerun c
    WHERE c.id IN (SELECT cycle_id FROM made)
    ORDER BY c.id   -- one order for all, against deadlocks
    FOR NO KEY UPDATE
),
due AS (
    UPDATE orbit_cyclerun c
    SET requeues = c.requeues + 1,   -- tells a worker that holds the cycle of the new job
        next_due_at = CASE   -- of a held cycle it is the end of the lease
            WHEN c.lease_owner IS NULL THEN clock_timestamp()
            ELSE c.next_due_at
        END
    FROM cycles
    WHERE c.id = cycles.id
),
records AS (
    INSERT INTO orbit_recordgroup (
        id, partition_key, cycle_id, stage, event, level, namespace, message, data)
    SELECT
        record_id, cycle_id, cycle_id, 'dispatch', 'dead_letter_requeued', 'info', namespace,
        %(reason)s,
        %(data)s::jsonb || jsonb_build_object(
            'dead_letter_id', id, 'requeued_job_id', job_id, 'delivery_id', delivery_id)
    FROM made
)
SELECT id, job_id, namespace, delivery_id FROM made ORDER BY id

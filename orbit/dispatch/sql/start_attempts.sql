-- Move the jobs of CTE `due` to sending, each with a receipt, before a byte leaves.
-- params: receipts uuid[], worker text
numbered AS (SELECT id, row_number() OVER () AS place FROM due),
moved AS (
    UPDATE orbit_dispatchjob j
    SET status = 'sending', attempts = j.attempts + 1, next_attempt_at = NULL
    FROM numbered
    WHERE j.id = numbered.id
      AND j.status IN ({{job_sources}})   -- as it is under the lock of `due`
    RETURNING
        j.id, (%(receipts)s::uuid[])[numbered.place] AS receipt_id, j.attempts, j.spent,
        j.max_retries, j.delivery_id, j.endpoint_key, j.snapshot_id, j.normalization_item_id,
        j.cycle_id, j.requeue_of_id
),
written AS (
    INSERT INTO orbit_deliveryreceipt (
        id, job_id, attempt, status, worker, fencing_token, started_at, body_sha256)
    SELECT
        m.receipt_id, m.id, m.attempts, 'sending', %(worker)s, locked.token, clock_timestamp(),
        i.sha256
    FROM moved m
    JOIN locked ON locked.id = m.cycle_id
    JOIN orbit_normalizationitem i ON i.id = m.normalization_item_id
)

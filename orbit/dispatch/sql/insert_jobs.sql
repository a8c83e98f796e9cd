-- Write the delivery jobs of a cycle: pending and due at once, or begun (sending, each with its
-- receipt), as a claim would begin them. A job whose snapshot is missing gets a NULL, so the
-- statement fails as a whole: no delivery may be left out.
-- params: jobs json, full json, worker text
enqueued AS MATERIALIZED (   -- the gate and the limits are read once, for jobs and receipts
    SELECT
        x.id, x.cycle_id, x.item_id, x.endpoint_key, x.delivery_id, x.max_retries, x.sha256,
        s.id AS snapshot_id, s.state_id, locked.token,
        CASE
            WHEN {{gate_is_open(locked.namespace)}}
                AND (
                    e.id IS NULL
                    OR NOT {{is_limited}}   -- claim_limited.sql claims these, under a lock
                    AND NOT EXISTS (        -- these have their share of the senders
                        SELECT 1
                        FROM json_to_recordset(%(full)s::json) AS f(cycle_id uuid, state_id uuid)
                        WHERE f.cycle_id = x.cycle_id
                          AND f.state_id = e.id
                    )
                )
            THEN x.receipt_id   -- null: no sender was free for it
        END AS receipt_id
    FROM json_to_recordset(%(jobs)s::json) AS x(
        id uuid, cycle_id uuid, item_id uuid, endpoint_key text, fingerprint text,
        delivery_id uuid, max_retries int, receipt_id uuid, sha256 text)
    JOIN locked ON locked.id = x.cycle_id
    LEFT JOIN orbit_endpointsnapshot s ON s.fingerprint = x.fingerprint
    LEFT JOIN orbit_endpointstate e ON e.id = s.state_id
),
jobs AS (
    INSERT INTO orbit_dispatchjob (
        id, cycle_id, normalization_item_id, endpoint_key, snapshot_id, delivery_id, max_retries,
        status, attempts, next_attempt_at)
    SELECT
        x.id, x.cycle_id, x.item_id, x.endpoint_key, x.snapshot_id, x.delivery_id, x.max_retries,
        CASE WHEN x.receipt_id IS NULL THEN 'pending' ELSE 'sending' END,
        CASE WHEN x.receipt_id IS NULL THEN 0 ELSE 1 END,
        CASE WHEN x.receipt_id IS NULL THEN clock_timestamp() END
    FROM enqueued x
),
begun AS (
    SELECT x.cycle_id, x.receipt_id, x.state_id
    FROM enqueued x
    WHERE x.receipt_id IS NOT NULL
),
receipts AS (
    INSERT INTO orbit_deliveryreceipt (
        id, job_id, attempt, status, worker, fencing_token, started_at, body_sha256)
    SELECT
        x.receipt_id, x.id, 1, 'sending', %(worker)s, x.token, clock_timestamp(), x.sha256
    FROM enqueued x
    WHERE x.receipt_id IS NOT NULL
)

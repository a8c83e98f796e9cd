-- Close attempts: their receipts and jobs, and a dead letter for each job that is dead.
-- `status || ''` keeps the planner off the partial indexes: it would scan all open rows of the
-- table, but the primary key finds the one.
-- params: attempts json
closed AS (
    SELECT x.*, locked.namespace
    FROM json_to_recordset(%(attempts)s::json) AS x(
        receipt_id uuid, job_id uuid, cycle_id uuid, letter_id uuid, status text, job_status text,
        status_code int, error_class text, error text, latency_ms float8, excerpt text, wait float8,
        spent int, reason text, endpoint_key text, attempt int, confirms boolean)
    JOIN locked ON locked.id = x.cycle_id
),
receipts AS (
    UPDATE orbit_deliveryreceipt r
    SET status = closed.status,
        finished_at = clock_timestamp(),
        status_code = closed.status_code,
        error_class = closed.error_class,
        error = closed.error,
        latency_ms = closed.latency_ms,
        response_excerpt = closed.excerpt
    FROM closed
    WHERE r.id = closed.receipt_id
      AND r.status || '' IN ({{receipt_sources}})
),
confirmed AS (   -- an inquiry found that an earlier attempt had arrived
    UPDATE orbit_deliveryreceipt r
    SET status = 'delivered', error = closed.error
    FROM closed
    WHERE closed.confirms
      AND r.status || '' = 'unknown'
      AND r.id = (
          SELECT u.id   -- by delivery id: it may be an attempt of the job that was requeued
          FROM orbit_dispatchjob k
          JOIN orbit_dispatchjob o ON o.delivery_id = k.delivery_id
          JOIN orbit_deliveryreceipt u ON u.job_id = o.id
          WHERE k.id = closed.job_id
            AND u.status || '' = 'unknown'
          ORDER BY u.started_at DESC
          LIMIT 1
      )
),
jobs AS (
    UPDATE orbit_dispatchjob j
    SET status = closed.job_status,
        spent = j.spent + closed.spent,
        last_error = closed.error,
        next_attempt_at = CASE
            WHEN closed.job_status = 'pending'
            THEN clock_timestamp() + closed.wait * interval '1 second'
        END,
        finished_at = CASE WHEN closed.job_status <> 'pending' THEN clock_timestamp() END
    FROM closed
    WHERE j.id = closed.job_id
      -- without a receipt there was no attempt: the job waited too long
      AND j.status || '' = CASE WHEN closed.receipt_id IS NULL THEN 'pending' ELSE 'sending' END
    RETURNING j.id, j.cycle_id, j.status
),
letters AS (
    INSERT INTO orbit_deadletterdispatch (
        id, job_id, cycle_id, namespace, endpoint_key, status, reason, last_error, status_code,
        attempts, first_failed_at, last_failed_at)
    SELECT
        closed.letter_id, jobs.id, jobs.cycle_id, closed.namespace, closed.endpoint_key, 'open',
        closed.reason, closed.error, closed.status_code, closed.attempt,
        coalesce(   -- null if this failure is the first: a statement doesn't see its own updates
            (
                SELECT min(r.finished_at)
                FROM orbit_deliveryreceipt r
                WHERE r.job_id = jobs.id
                  AND r.status IN ('failed', 'unknown')
            ),
            clock_timestamp()
        ),
        clock_timestamp()
    FROM jobs
    JOIN closed ON closed.job_id = jobs.id
    WHERE jobs.status = 'dead'
)

-- Mark an attempt and its job as delivered, without a fence. Return the job's status before.
-- `status || ''` keeps the planner off the partial indexes of open rows.
-- params: attempts json
WITH attempt AS (
    SELECT *
    FROM json_to_recordset(%(attempts)s::json) AS x(
        receipt_id uuid, job_id uuid, status_code int, latency_ms float8, excerpt text)
),
job AS MATERIALIZED (   -- the job first, as in close_attempts.sql: against deadlocks
    SELECT j.id, j.status
    FROM orbit_dispatchjob j
    WHERE j.id IN (SELECT job_id FROM attempt)
    FOR NO KEY UPDATE
),
receipts AS (
    UPDATE orbit_deliveryreceipt r
    SET status = 'delivered',
        finished_at = clock_timestamp(),
        status_code = attempt.status_code,
        error = '',
        error_class = NULL,
        latency_ms = attempt.latency_ms,
        response_excerpt = attempt.excerpt
    FROM attempt
    JOIN job ON job.id = attempt.job_id
    WHERE r.id = attempt.receipt_id
      AND r.status || '' IN ({{receipt_sources}})
    RETURNING r.id, r.job_id, r.started_at
),
{{count_late}},
jobs AS (
    UPDATE orbit_dispatchjob j
    SET status = 'delivered', next_attempt_at = NULL, finished_at = clock_timestamp()
    FROM job
    WHERE j.id = job.id
      AND job.status IN ({{job_sources}})   -- no row comes back if it was delivered before
    RETURNING job.status AS status_before
)
SELECT status_before FROM jobs

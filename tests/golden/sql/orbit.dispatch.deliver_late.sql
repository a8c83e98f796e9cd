WITH attempt AS (SELECT *
FROM json_to_recordset(%(attempts)s::json) AS x(receipt_id uuid, job_id uuid, status_code int, latency_ms float8, excerpt text)), job AS MATERIALIZED (SELECT j.id, j.status
FROM orbit_dispatchjob j
WHERE j.id IN (SELECT job_id
FROM attempt)
FOR NO KEY
UPDATE), receipts AS (UPDATE orbit_deliveryreceipt r
SET status = 'delivered', finished_at = clock_timestamp(), status_code = attempt.status_code, error = '', error_class = NULL, latency_ms = attempt.latency_ms, response_excerpt = attempt.excerpt
FROM attempt
JOIN job ON job.id = attempt.job_id
WHERE r.id = attempt.receipt_id
AND r.status || '' IN ('sending', 'unknown')
RETURNING r.id, r.job_id, r.started_at), passed AS MATERIALIZED (SELECT after
FROM orbit_rollupmark
WHERE kind = 'receipts' FOR SHARE), late_hours AS (INSERT INTO orbit_deliveryhour AS h (namespace, hour, delivered, dead)
SELECT namespace, hour, count(*), 0
FROM (SELECT (SELECT c.namespace
FROM orbit_dispatchjob j
JOIN orbit_cyclerun c ON c.id = j.cycle_id
WHERE j.id = r.job_id) AS namespace, date_trunc('hour', r.started_at) AS hour
FROM receipts r
WHERE r.id <= (SELECT after
FROM passed)) AS late
GROUP BY namespace, hour
ORDER BY hour, namespace
ON CONFLICT (hour, namespace) DO
UPDATE
SET delivered = h.delivered + excluded.delivered), jobs AS (UPDATE orbit_dispatchjob j
SET status = 'delivered', next_attempt_at = NULL, finished_at = clock_timestamp()
FROM job
WHERE j.id = job.id
AND job.status IN ('cancelled', 'dead', 'pending', 'sending')
RETURNING job.status AS status_before)
SELECT status_before
FROM jobs

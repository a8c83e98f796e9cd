WITH found AS (SELECT *
FROM json_to_recordset(%(attempts)s::json) AS x(receipt_id uuid, job_id uuid, status_code int, latency_ms float8, excerpt text)), held AS MATERIALIZED (SELECT j.id, j.status
FROM orbit_dispatchjob j
WHERE j.id IN (SELECT job_id
FROM found)
FOR NO KEY
UPDATE), receipts AS (UPDATE orbit_deliveryreceipt r
SET status = 'delivered', finished_at = clock_timestamp(), status_code = found.status_code, error = '', error_class = NULL, latency_ms = found.latency_ms, response_excerpt = found.excerpt
FROM found
JOIN held ON held.id = found.job_id
WHERE r.id = found.receipt_id
AND r.status || '' IN ('sending', 'unknown')), jobs AS (UPDATE orbit_dispatchjob j
SET status = 'delivered', next_attempt_at = NULL, finished_at = clock_timestamp()
FROM held
WHERE j.id = held.id
AND held.status IN ('cancelled', 'dead', 'pending', 'sending')
RETURNING held.status AS was)
SELECT was
FROM jobs

WITH new_letters AS (SELECT *
FROM json_to_recordset(%(jobs)s::json) AS x(letter_id uuid, job_id uuid)), letters AS (INSERT INTO orbit_deadletterdispatch (id, job_id, cycle_id, namespace, endpoint_key, status, reason, last_error, attempts, first_failed_at, last_failed_at)
SELECT new_letters.letter_id, j.id, j.cycle_id, c.namespace, j.endpoint_key, 'open', %(reason)s, j.last_error, j.attempts, coalesce((SELECT min(r.finished_at)
FROM orbit_deliveryreceipt r
WHERE r.job_id = j.id
AND r.status IN ('failed', 'unknown')), clock_timestamp()), clock_timestamp()
FROM new_letters
JOIN orbit_dispatchjob j ON j.id = new_letters.job_id
JOIN orbit_cyclerun c ON c.id = j.cycle_id
RETURNING id, job_id, cycle_id, namespace, endpoint_key, last_error)
SELECT id, job_id, cycle_id, namespace, endpoint_key, last_error
FROM letters
ORDER BY id

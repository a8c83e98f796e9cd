WITH wanted AS (SELECT *
FROM json_to_recordset(%(jobs)s::json) AS x(id uuid, item_id uuid, endpoint_key text, snapshot_id uuid, delivery_id uuid, copy_of uuid, letter_id uuid)), jobs AS (INSERT INTO orbit_dispatchjob (id, cycle_id, normalization_item_id, endpoint_key, snapshot_id, delivery_id, status, max_retries, next_attempt_at, requeue_of_id)
SELECT id, %(cycle)s, item_id, endpoint_key, snapshot_id, delivery_id, 'pending', %(max_retries)s, clock_timestamp(), copy_of
FROM wanted
RETURNING id)
UPDATE orbit_deadletterdispatch l
SET status = 'requeued', requeued_job_id = wanted.id, resolved_by = %(by)s, resolved_at = clock_timestamp(), resolved_reason = %(reason)s
FROM wanted
JOIN jobs ON jobs.id = wanted.id
WHERE l.id = wanted.letter_id
AND l.status IN ('open')

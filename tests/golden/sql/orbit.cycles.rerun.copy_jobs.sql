WITH planned AS (SELECT *
FROM json_to_recordset(%(jobs)s::json) AS x(id uuid, item_id uuid, endpoint_key text, snapshot_id uuid, delivery_id uuid, copy_of uuid, letter_id uuid)), jobs AS (INSERT INTO orbit_dispatchjob (id, cycle_id, normalization_item_id, endpoint_key, snapshot_id, delivery_id, status, max_retries, next_attempt_at, requeue_of_id)
SELECT id, %(cycle)s, item_id, endpoint_key, snapshot_id, delivery_id, 'pending', %(max_retries)s, clock_timestamp(), copy_of
FROM planned
RETURNING id)
UPDATE orbit_deadletterdispatch l
SET status = 'requeued', requeued_job_id = planned.id, resolved_by = %(by)s, resolved_at = clock_timestamp(), resolved_reason = %(reason)s
FROM planned
JOIN jobs ON jobs.id = planned.id
WHERE l.id = planned.letter_id
AND l.status IN ('open')

UPDATE orbit_dispatchjob j
SET status = CASE WHEN j.requeue_of_id IS NOT NULL
AND (SELECT true
FROM orbit_deadletterdispatch l
WHERE l.requeued_job_id = j.id) THEN 'dead' ELSE 'cancelled' END, next_attempt_at = NULL, finished_at = clock_timestamp(), last_error = 'the cycle was cancelled'
WHERE j.cycle_id = %(id)s
AND j.status = 'pending'
RETURNING j.id, j.status

-- Cancel the unsent deliveries of a cancelled cycle. Requeued ones are dead letters again.
-- params: id uuid
UPDATE orbit_dispatchjob j
SET status = {{ended_status}},
    next_attempt_at = NULL,
    finished_at = clock_timestamp(),
    last_error = 'the cycle was cancelled'
WHERE j.cycle_id = %(id)s
  AND j.status = 'pending'   -- what is being sent ends by itself
RETURNING j.id, j.status

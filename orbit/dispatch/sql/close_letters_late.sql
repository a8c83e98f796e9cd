-- Close the open dead letters of a job that was delivered late, and of its requeued jobs.
WITH {{requeue_chain}}
UPDATE orbit_deadletterdispatch l
SET status = 'delivered_late',
    resolved_at = clock_timestamp(),
    resolved_by = 'orbit',
    resolved_reason = 'a 2xx arrived late'
-- an array: for a join the planner expects a long chain, and scans all letters
WHERE l.job_id = ANY (ARRAY(SELECT id FROM chain))
  AND l.status || '' IN ({{letter_sources}})   -- not on a partial index: see close_attempts.sql
RETURNING l.id

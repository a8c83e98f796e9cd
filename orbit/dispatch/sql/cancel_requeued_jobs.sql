-- Cancel the jobs that were requeued from a job that was delivered late.
WITH {{requeue_chain}}
UPDATE orbit_dispatchjob c
SET status = 'cancelled',
    next_attempt_at = NULL,
    finished_at = clock_timestamp(),
    last_error = 'the original was delivered late'
WHERE c.id = ANY (ARRAY(SELECT id FROM chain))
  AND c.id <> %(job)s::uuid                  -- the chain begins with the delivered job itself
  AND c.status || '' IN ({{job_sources}})    -- not on a partial index: see close_attempts.sql
RETURNING c.id

-- Save the progress of an active run, and when its next slice is due. `wait` is in seconds.
-- params: id uuid, progress text, wait float8
UPDATE governance_operationrun
SET progress = %(progress)s::jsonb,
    faults = 0,   -- counts failures in a row
    next_due_at = clock_timestamp() + %(wait)s * interval '1 second'
WHERE id = %(id)s
  AND status IN ('queued', 'running')
RETURNING next_due_at

UPDATE governance_operationrun
SET progress = %(progress)s::jsonb, faults = 0, next_due_at = clock_timestamp() + %(wait)s * interval '1 second'
WHERE id = %(id)s
AND status IN ('queued', 'running')
RETURNING next_due_at

WITH held AS (SELECT id, status
FROM orbit_cyclerun
WHERE id = %(id)s
AND status IN ('pending', 'queued', 'running')
FOR NO KEY
UPDATE)
UPDATE orbit_cyclerun c
SET status = 'cancelled', finished_at = clock_timestamp(), fencing_token = c.fencing_token + 1, lease_owner = NULL, lease_expires_at = NULL, next_due_at = NULL, reason = %(reason)s
FROM held
WHERE c.id = held.id
RETURNING held.status

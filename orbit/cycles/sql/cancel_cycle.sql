-- Cancel a cycle that has not finished. Returns the status before.
-- params: id uuid, reason text
WITH held AS (
    SELECT id, status
    FROM orbit_cyclerun
    WHERE id = %(id)s
      AND status IN ({{cancel_sources}})
    FOR NO KEY UPDATE
)
UPDATE orbit_cyclerun c
SET status = 'cancelled',
    finished_at = clock_timestamp(),
    fencing_token = c.fencing_token + 1,   -- its worker may still write a 2xx, nothing else
    lease_owner = NULL,
    lease_expires_at = NULL,
    next_due_at = NULL,
    reason = %(reason)s
FROM held
WHERE c.id = held.id
RETURNING held.status

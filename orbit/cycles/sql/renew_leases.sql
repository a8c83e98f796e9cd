-- Extend leases to a full term from now. Returns the cycles that are still ours.
-- params: ids uuid[], tokens bigint[], owner text, seconds float8
WITH held AS MATERIALIZED (
    SELECT c.id
    FROM orbit_cyclerun c
    JOIN unnest(%(ids)s::uuid[], %(tokens)s::bigint[]) AS held(id, token)
        ON held.id = c.id AND held.token = c.fencing_token
    WHERE c.lease_owner = %(owner)s   -- NULL once the cycle has ended
    -- one write that hangs must not cost the other cycles of its worker their leases
    FOR NO KEY UPDATE OF c SKIP LOCKED
)
UPDATE orbit_cyclerun c
SET lease_expires_at = now() + %(seconds)s * interval '1 second',
    next_due_at = now() + %(seconds)s * interval '1 second'   -- due again if the lease runs out
FROM held
WHERE c.id = held.id
RETURNING c.id

-- Extend leases to a full term from now. Returns the cycles that are still ours.
-- params: ids uuid[], tokens bigint[], owner text, seconds float8
UPDATE orbit_cyclerun c
SET lease_expires_at = now() + %(seconds)s * interval '1 second',
    next_due_at = now() + %(seconds)s * interval '1 second'   -- due again if the lease runs out
FROM unnest(%(ids)s::uuid[], %(tokens)s::bigint[]) AS held(id, token)
WHERE c.id = held.id
  AND c.fencing_token = held.token
  AND c.lease_owner = %(owner)s   -- NULL once the cycle has ended
RETURNING c.id

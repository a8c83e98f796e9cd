-- Take a new fencing token for a cycle that we hold, and a full term of its lease.
-- The lock waits for a write of ours that still runs; a write that comes later has a stale token.
-- params: token bigint, owner text, seconds float8
WITH {{locked}}
UPDATE orbit_cyclerun c
SET fencing_token = %(token)s,
    -- after the wait for the lock: now() is the time before it
    lease_expires_at = clock_timestamp() + %(seconds)s * interval '1 second',
    next_due_at = clock_timestamp() + %(seconds)s * interval '1 second'
FROM locked
WHERE c.id = locked.id
  AND c.lease_owner = %(owner)s   -- NULL once the cycle has ended or was given back
RETURNING c.id

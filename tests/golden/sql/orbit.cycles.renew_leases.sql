WITH held AS MATERIALIZED (SELECT c.id
FROM orbit_cyclerun c
JOIN unnest(%(ids)s::uuid[], %(tokens)s::bigint[]) AS held(id, token) ON held.id = c.id
AND held.token = c.fencing_token
WHERE c.lease_owner = %(owner)s
FOR NO KEY
UPDATE OF c SKIP LOCKED)
UPDATE orbit_cyclerun c
SET lease_expires_at = now() + %(seconds)s * interval '1 second', next_due_at = now() + %(seconds)s * interval '1 second'
FROM held
WHERE c.id = held.id
RETURNING c.id

UPDATE orbit_cyclerun c
SET lease_expires_at = now() + %(seconds)s * interval '1 second', next_due_at = now() + %(seconds)s * interval '1 second'
FROM unnest(%(ids)s::uuid[], %(tokens)s::bigint[]) AS held(id, token)
WHERE c.id = held.id
AND c.fencing_token = held.token
AND c.lease_owner = %(owner)s
RETURNING c.id

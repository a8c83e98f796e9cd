UPDATE orbit_cyclerun c
SET lease_owner = NULL, lease_expires_at = NULL, next_due_at = clock_timestamp() + CASE WHEN c.requeues = held.requeues THEN %(wait)s ELSE 0 END * interval '1 second'
FROM unnest(%(ids)s::uuid[], %(tokens)s::bigint[], %(requeues)s::int[]) AS held(id, token, requeues)
WHERE c.id = held.id
AND c.fencing_token = held.token
AND c.lease_owner = %(owner)s
RETURNING c.id, c.next_due_at

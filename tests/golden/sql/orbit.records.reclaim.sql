WITH locked AS MATERIALIZED (SELECT c.id, c.fencing_token AS token, c.namespace, c.requeues, c.status
FROM orbit_cyclerun c
JOIN unnest(%(ids)s::uuid[], %(tokens)s::bigint[]) AS lease(id, token) ON lease.id = c.id
AND lease.token = c.fencing_token
ORDER BY c.id
FOR NO KEY
UPDATE OF c)
UPDATE orbit_cyclerun c
SET fencing_token = %(token)s, lease_expires_at = clock_timestamp() + %(seconds)s * interval '1 second', next_due_at = clock_timestamp() + %(seconds)s * interval '1 second'
FROM locked
WHERE c.id = locked.id
AND c.lease_owner = %(owner)s
RETURNING c.id

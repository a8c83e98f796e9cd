WITH expired AS MATERIALIZED (SELECT t.id
FROM orbit_conductortask t
WHERE t.lease_expires_at <= now()
ORDER BY t.lease_expires_at
LIMIT %(most)s::int
FOR NO KEY
UPDATE SKIP LOCKED)
UPDATE orbit_conductortask t
SET ready = true, lease_token = NULL, lease_expires_at = NULL
WHERE t.id = ANY(ARRAY(SELECT e.id
FROM expired e))
RETURNING t.namespace

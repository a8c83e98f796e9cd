WITH lost AS MATERIALIZED (SELECT t.id
FROM orbit_conductortask t
WHERE t.lease_expires_at <= now()
ORDER BY t.lease_expires_at
LIMIT %(most)s
FOR
UPDATE SKIP LOCKED)
UPDATE orbit_conductortask t
SET ready = true, lease_token = NULL, lease_expires_at = NULL
FROM lost
WHERE t.id = lost.id

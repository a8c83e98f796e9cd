SELECT held.id
FROM (SELECT t.id, t.run_id, t.lease_expires_at
FROM orbit_conductortask t
WHERE t.lease_expires_at IS NOT NULL
ORDER BY t.lease_expires_at
LIMIT %(looked_at)s) held
WHERE held.run_id = %(run)s
ORDER BY held.lease_expires_at
LIMIT %(limit)s

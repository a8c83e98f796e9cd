SELECT (SELECT true
FROM orbit_conductortask t
WHERE t.ready
ORDER BY t.namespace
LIMIT 1) IS NOT NULL
OR (SELECT true
FROM orbit_conductortask t
WHERE t.lease_expires_at IS NOT NULL
AND t.lease_expires_at <= now()
ORDER BY t.lease_expires_at
LIMIT 1) IS NOT NULL

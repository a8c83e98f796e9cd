SELECT EXISTS (SELECT 1
FROM orbit_conductortask
WHERE ready)
OR EXISTS (SELECT 1
FROM orbit_conductortask
WHERE lease_expires_at IS NOT NULL
AND lease_expires_at <= now())

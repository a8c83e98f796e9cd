SELECT 1
FROM orbit_appliedfiles
WHERE id = 1 FOR SHARE

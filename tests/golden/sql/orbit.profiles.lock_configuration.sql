SELECT sha256
FROM orbit_appliedfiles
WHERE id = 1
FOR
UPDATE

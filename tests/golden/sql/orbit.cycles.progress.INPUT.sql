SELECT input
FROM orbit_cyclerun
WHERE id = %s

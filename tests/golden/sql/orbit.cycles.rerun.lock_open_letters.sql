SELECT l.id
FROM orbit_deadletterdispatch l
WHERE l.cycle_id = ANY(%(family)s)
AND l.status = 'open'
ORDER BY l.id
FOR NO KEY
UPDATE

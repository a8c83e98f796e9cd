WITH cancelled AS MATERIALIZED (SELECT p.task_id
FROM orbit_conductorparent p
JOIN orbit_conductortask t ON t.id = p.task_id
WHERE NOT p.is_fanned_out
AND t.state = 'CANCELLED'
ORDER BY p.task_id
LIMIT %(max_parents)s
FOR NO KEY
UPDATE OF p SKIP LOCKED)
UPDATE orbit_conductorparent p
SET is_fanned_out = true
FROM cancelled c
WHERE p.task_id = c.task_id

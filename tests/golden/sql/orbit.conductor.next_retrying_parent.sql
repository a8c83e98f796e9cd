SELECT p.task_id, p.retried_up_to
FROM orbit_conductorparent p
WHERE p.is_retrying
AND p.task_id > %(after)s
ORDER BY p.task_id
LIMIT 1
FOR NO KEY
UPDATE SKIP LOCKED

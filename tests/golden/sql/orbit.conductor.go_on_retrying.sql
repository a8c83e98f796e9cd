WITH noted AS (UPDATE orbit_conductorparent p
SET retried_up_to = %(up_to)s, is_retrying = NOT %(is_last)s
WHERE p.task_id = %(id)s
RETURNING p.task_id, p.is_retrying)
INSERT INTO orbit_conductortally (run_id, parent_id)
SELECT t.run_id, t.id
FROM noted n
JOIN orbit_conductortask t ON t.id = n.task_id
WHERE NOT n.is_retrying

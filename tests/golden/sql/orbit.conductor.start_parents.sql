WITH changed AS (UPDATE orbit_conductortask t
SET state = 'RUNNING', started_at = statement_timestamp()
FROM orbit_conductorparent p
WHERE t.id = ANY(%(parents)s::text[])
AND t.state = 'PENDING'
AND p.task_id = t.id
AND p.is_fanned_out
RETURNING t.*)
SELECT count(*)::int
FROM changed

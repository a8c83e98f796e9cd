UPDATE orbit_conductorparent p
SET is_cancelling = true, cancelled_up_to = 0
FROM orbit_conductortask t
WHERE p.task_id = ANY(%(parents)s::text[])
AND t.id = p.task_id
AND t.state = 'CANCELLED'
AND NOT p.is_cancelling
AND (p.pending + p.running + p.retrying <> 0
OR NOT p.is_fanned_out)
AND NOT EXISTS (SELECT
FROM orbit_conductortally w
WHERE w.run_id = t.run_id
AND w.parent_id = p.task_id)

SELECT r.stage, r.event, r.created_at, r.message, coalesce((r.data ->> 'ok')::boolean, true)
FROM orbit_executionrecord r
WHERE r.partition_key = %(id)s
AND r.event IN ('stage_started', 'stage_finished')
ORDER BY r.id

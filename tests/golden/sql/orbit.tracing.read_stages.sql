SELECT r.stage, r.event, r.created_at, r.message, r.data
FROM orbit_executionrecord r
WHERE r.partition_key = %(id)s
AND r.event IN ('stage_started', 'stage_finished')
ORDER BY r.id

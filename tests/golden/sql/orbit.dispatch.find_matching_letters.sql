SELECT l.id
FROM orbit_deadletterdispatch l
WHERE l.status = 'open'
AND (%(scope)s::text[] IS NULL
OR l.namespace = ANY(%(scope)s::text[]))
AND (%(namespace)s::text IS NULL
OR l.namespace = %(namespace)s)
AND (%(endpoint_key)s::text IS NULL
OR l.endpoint_key = %(endpoint_key)s)
AND (%(group)s::text IS NULL
OR l.error_group = %(group)s)
AND (%(reason)s::text IS NULL
OR l.reason = %(reason)s)
AND (%(cycle_run_id)s::uuid IS NULL
OR l.cycle_id = %(cycle_run_id)s::uuid)
AND (%(created_after)s::timestamptz IS NULL
OR l.created_at >= %(created_after)s::timestamptz)
AND (%(created_before)s::timestamptz IS NULL
OR l.created_at < %(created_before)s::timestamptz)
AND (%(groups)s::text[] IS NULL
OR l.error_group = ANY(%(groups)s::text[]))
ORDER BY l.id
LIMIT %(limit)s

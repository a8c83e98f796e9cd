SELECT i.object_id
FROM governance_operationrunitem i
LEFT
JOIN orbit_deadletterdispatch l ON l.id = i.object_id
AND (%(scope)s::text[] IS NULL
OR l.namespace = ANY(%(scope)s::text[]))
WHERE i.run_id = %(run)s
AND i.outcome IS NULL
AND NOT EXISTS (SELECT 1
FROM governance_governancesetting s
JOIN governance_namespace n ON n.id = s.namespace_id
WHERE n.name = l.namespace
AND s.halt
AND (s.until IS NULL
OR s.until > now()))
AND NOT EXISTS (SELECT 1
FROM governance_stop p
WHERE p.namespace_id IS NULL
AND p.kind = 'pause'
AND p.ended_at IS NULL
AND (p.until IS NULL
OR p.until > now()))
ORDER BY i.object_id
LIMIT %(limit)s

SELECT DISTINCT ON (c.namespace) i.object_id, c.namespace
FROM governance_operationrunitem i
LEFT
JOIN orbit_cyclerun c ON c.id = i.object_id
AND (%(scope)s::text[] IS NULL
OR c.namespace = ANY(%(scope)s::text[]))
WHERE i.run_id = %(run)s
AND i.outcome IS NULL
AND (c.id IS NULL
OR NOT EXISTS (SELECT 1
FROM governance_governancesetting s
JOIN governance_namespace n ON n.id = s.namespace_id
WHERE n.name = c.namespace
AND s.mode <> 'running'
AND (s.until IS NULL
OR s.until > now()))
AND NOT EXISTS (SELECT 1
FROM governance_stop p
WHERE p.namespace_id IS NULL
AND p.kind = 'pause'
AND p.ended_at IS NULL
AND (p.until IS NULL
OR p.until > now()))
AND NOT EXISTS (SELECT 1
FROM orbit_cyclerun a
WHERE a.namespace = c.namespace
AND a.status IN ('pending', 'running')))
ORDER BY c.namespace NULLS FIRST, i.object_id
LIMIT %(limit)s

SELECT DISTINCT c.namespace
FROM governance_operationrunitem i
JOIN orbit_cyclerun c ON c.id = i.object_id
AND (%(scope)s::text[] IS NULL
OR c.namespace = ANY(%(scope)s::text[]))
WHERE i.run_id = %(run)s
AND i.outcome IS NULL
ORDER BY c.namespace
LIMIT %(limit)s

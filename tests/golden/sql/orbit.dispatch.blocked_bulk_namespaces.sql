SELECT DISTINCT l.namespace
FROM governance_operationrunitem i
LEFT
JOIN orbit_deadletterdispatch l ON l.id = i.object_id
AND (%(scope)s::text[] IS NULL
OR l.namespace = ANY(%(scope)s::text[]))
WHERE i.run_id = %(run)s
AND i.outcome IS NULL
AND l.namespace IS NOT NULL
ORDER BY l.namespace
LIMIT %(limit)s

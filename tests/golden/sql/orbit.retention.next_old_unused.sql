WITH counted AS MATERIALIZED (SELECT x.id, x.uses
FROM unnest(%(counted)s::uuid[], %(uses)s::int[]) AS x(id, uses)), initiation AS MATERIALIZED ((SELECT i.id, i.initiation_hash
FROM orbit_initiation i
WHERE i.id > %(initiation)s::uuid
AND i.id < %(before)s::uuid
ORDER BY i.id
LIMIT %(limit)s)
UNION (SELECT i.id, i.initiation_hash
FROM counted k
JOIN orbit_initiation i ON i.id = k.id
WHERE i.id > %(initiation)s::uuid
ORDER BY i.id
LIMIT %(limit)s)
ORDER BY id
LIMIT %(limit)s), snapshot AS MATERIALIZED ((SELECT s.id, s.fingerprint
FROM orbit_endpointsnapshot s
WHERE s.id > %(snapshot)s::uuid
AND s.id < %(before)s::uuid
ORDER BY s.id
LIMIT %(limit)s)
UNION (SELECT s.id, s.fingerprint
FROM counted k
JOIN orbit_endpointsnapshot s ON s.id = k.id
WHERE s.id > %(snapshot)s::uuid
ORDER BY s.id
LIMIT %(limit)s)
ORDER BY id
LIMIT %(limit)s)
SELECT (SELECT array_agg(i.id
ORDER BY i.id)
FROM initiation i), (SELECT array_agg(s.id
ORDER BY s.id)
FROM snapshot s), ARRAY(SELECT i.id
FROM initiation i
LEFT
JOIN counted k ON k.id = i.id
WHERE NOT EXISTS (SELECT 1
FROM orbit_transformation t
WHERE t.initiation_id = i.id OFFSET coalesce(k.uses, 0))
AND NOT EXISTS (SELECT 1
FROM orbit_cyclerun c
WHERE c.status IN ('pending', 'running')
AND c.initiation_hash = i.initiation_hash)), ARRAY(SELECT s.id
FROM snapshot s
LEFT
JOIN counted k ON k.id = s.id
WHERE s.fingerprint <> ALL(%(configured)s::text[])
AND NOT EXISTS (SELECT 1
FROM orbit_dispatchjob j
WHERE j.snapshot_id = s.id OFFSET coalesce(k.uses, 0)))

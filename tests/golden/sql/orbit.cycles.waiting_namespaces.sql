WITH RECURSIVE queues AS ((SELECT q.namespace
FROM orbit_cyclerun q
WHERE q.status = 'queued'
ORDER BY q.namespace
LIMIT 1)
UNION ALL
SELECT (SELECT q.namespace
FROM orbit_cyclerun q
WHERE q.status = 'queued'
AND q.namespace > w.namespace
ORDER BY q.namespace
LIMIT 1)
FROM queues w
WHERE w.namespace IS NOT NULL)
SELECT w.namespace
FROM queues w
WHERE w.namespace IS NOT NULL
AND NOT EXISTS (SELECT 1
FROM orbit_cyclerun a
WHERE a.namespace = w.namespace
AND a.status IN ('pending', 'running'))
AND NOT EXISTS (SELECT 1
FROM governance_governancesetting s
JOIN governance_namespace n ON n.id = s.namespace_id
WHERE n.name = w.namespace
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
LIMIT %(most)s

SELECT w.namespace
FROM (SELECT DISTINCT namespace
FROM orbit_cyclerun
WHERE status = 'queued') AS w
WHERE NOT EXISTS (SELECT 1
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
ORDER BY w.namespace
LIMIT %(most)s

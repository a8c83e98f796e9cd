UPDATE orbit_cyclerun c
SET status = 'pending', next_due_at = clock_timestamp()
FROM (SELECT q.id
FROM orbit_cyclerun q
WHERE q.namespace = %(namespace)s
AND q.status = 'queued'
AND NOT EXISTS (SELECT 1
FROM governance_governancesetting s
JOIN governance_namespace n ON n.id = s.namespace_id
WHERE n.name = %(namespace)s
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
ORDER BY q.id
LIMIT 1
FOR NO KEY
UPDATE OF q SKIP LOCKED) AS next
WHERE c.id = next.id
RETURNING c.id

WITH RECURSIVE namespaces AS ((SELECT c.namespace AS name
FROM orbit_cyclerun c
WHERE c.next_due_at IS NOT NULL
AND c.resumes >= 2
ORDER BY c.namespace
LIMIT 1)
UNION ALL
SELECT (SELECT c.namespace
FROM orbit_cyclerun c
WHERE c.next_due_at IS NOT NULL
AND c.resumes >= 2
AND c.namespace > w.name
ORDER BY c.namespace
LIMIT 1)
FROM namespaces w
WHERE w.name IS NOT NULL), suspected AS MATERIALIZED (SELECT oldest.id, oldest.next_due_at
FROM namespaces w CROSS
JOIN LATERAL (SELECT c.id, c.next_due_at
FROM orbit_cyclerun c
WHERE c.namespace = w.name
AND c.next_due_at <= now()
AND c.resumes >= 2
ORDER BY c.next_due_at, c.id
LIMIT 1) AS oldest
WHERE NOT EXISTS (SELECT 1
FROM governance_governancesetting s
JOIN governance_namespace n ON n.id = s.namespace_id
WHERE n.name = w.name
AND s.halt
AND (s.until IS NULL
OR s.until > now()))
AND NOT EXISTS (SELECT 1
FROM governance_stop p
WHERE p.namespace_id IS NULL
AND p.kind = 'pause'
AND p.ended_at IS NULL
AND (p.until IS NULL
OR p.until > now())))
SELECT count(*)
FROM suspected

WITH looked AS MATERIALIZED (SELECT c.id, c.next_due_at, c.namespace
FROM orbit_cyclerun c
WHERE (c.next_due_at, c.id) > (%(since)s::timestamptz, %(since_id)s::uuid)
AND c.next_due_at <= now()
AND c.resumes >= 2
ORDER BY c.next_due_at, c.id
LIMIT 500), edge AS (SELECT looked.next_due_at, looked.id
FROM looked
ORDER BY looked.next_due_at, looked.id OFFSET 500 - 1
LIMIT 1)
SELECT EXISTS (SELECT 1
FROM looked
WHERE NOT EXISTS (SELECT 1
FROM governance_governancesetting s
JOIN governance_namespace n ON n.id = s.namespace_id
WHERE n.name = looked.namespace
AND s.halt
AND (s.until IS NULL
OR s.until > now()))
AND NOT EXISTS (SELECT 1
FROM governance_stop p
WHERE p.namespace_id IS NULL
AND p.kind = 'pause'
AND p.ended_at IS NULL
AND (p.until IS NULL
OR p.until > now()))), edge.next_due_at, edge.id
FROM (SELECT) AS one
LEFT
JOIN edge ON true

SELECT min(near.next_due_at)
FROM ((SELECT namespace, next_due_at, lease_owner
FROM orbit_cyclerun
WHERE next_due_at <= now()
AND resumes < 2
ORDER BY next_due_at, id
LIMIT 32)
UNION ALL (SELECT namespace, next_due_at, lease_owner
FROM orbit_cyclerun
WHERE next_due_at > now()
AND resumes < 2
AND lease_owner IS NULL
ORDER BY next_due_at, id
LIMIT 32)) AS near
WHERE near.lease_owner IS NULL
AND NOT EXISTS (SELECT 1
FROM governance_governancesetting s
JOIN governance_namespace n ON n.id = s.namespace_id
WHERE n.name = near.namespace
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

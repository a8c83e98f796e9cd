SELECT count(*)
FROM (SELECT 1
FROM orbit_cyclerun AS c
WHERE c.next_due_at <= now() - %(late)s * interval '1 second'
AND (c.lease_expires_at IS NULL
OR c.lease_expires_at <= now())
AND NOT EXISTS (SELECT 1
FROM governance_governancesetting s
JOIN governance_namespace n ON n.id = s.namespace_id
WHERE n.name = c.namespace
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
LIMIT %(most)s) AS forgotten

WITH oldest AS MATERIALIZED (SELECT c.id
FROM orbit_cyclerun AS c
WHERE c.next_due_at <= now() - %(late)s * interval '1 second'
AND c.resumes < 2
AND NOT EXISTS (SELECT 1
FROM governance_stop p
WHERE p.namespace_id IS NULL
AND p.kind = 'pause'
AND p.ended_at IS NULL
AND (p.until IS NULL
OR p.until > now()))
ORDER BY c.next_due_at, c.id
LIMIT 32)
SELECT greatest((SELECT count(*)
FROM (SELECT 1
FROM oldest
JOIN orbit_cyclerun AS c ON c.id = oldest.id
WHERE (c.lease_expires_at IS NULL
OR c.lease_expires_at <= now())
AND c.resumes < 2
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
LIMIT %(most)s) AS forgotten), ((SELECT count(*)
FROM oldest) = 32)::int)

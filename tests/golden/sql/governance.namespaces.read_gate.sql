SELECT NULL, 'paused', p.reason, p.started_by, p.since, p.until
FROM governance_stop p
WHERE p.namespace_id IS NULL
AND p.kind = 'pause'
AND p.ended_at IS NULL
AND (p.until IS NULL
OR p.until > now())
UNION ALL
SELECT n.name, CASE WHEN s.until IS NULL
OR s.until > now() THEN s.mode ELSE 'running' END, s.reason, s.changed_by, s.since, s.until
FROM governance_namespace n
LEFT
JOIN governance_governancesetting s ON s.namespace_id = n.id
WHERE n.name = ANY(%(names)s::text[])

(SELECT NULL::bigint, NULL::text, 'paused', p.since, p.until, p.started_by, p.reason, NULL::timestamptz
FROM governance_stop p
WHERE p.namespace_id IS NULL
AND p.kind = 'pause'
AND p.ended_at IS NULL
AND (p.until IS NULL
OR p.until > now())
LIMIT 1)
UNION ALL (SELECT n.id, n.name, s.mode, s.since, s.until, s.changed_by, s.reason, (SELECT h.quiet_at
FROM governance_stop h
WHERE h.namespace_id = n.id
AND h.kind = 'halt'
AND h.ended_at IS NULL
LIMIT 1)
FROM governance_governancesetting s
JOIN governance_namespace n ON n.id = s.namespace_id
WHERE s.mode <> 'running'
AND (s.until IS NULL
OR s.until > now())
AND (%(scope)s::text[] IS NULL
OR n.name = ANY(%(scope)s::text[]))
ORDER BY s.halt DESC, s.since DESC
LIMIT 6)

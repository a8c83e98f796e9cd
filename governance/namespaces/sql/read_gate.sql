-- The pause first, without a name; then the state of each existing namespace of `names`.
-- params: names text[]
SELECT NULL, 'paused', p.reason, p.started_by, p.since, p.until
FROM {{pause}}
UNION ALL
SELECT
    n.name,
    CASE WHEN s.until IS NULL OR s.until > now() THEN s.mode ELSE 'running' END,
    s.reason, s.changed_by, s.since, s.until
FROM governance_namespace n
LEFT JOIN governance_governancesetting s ON s.namespace_id = n.id
WHERE n.name = ANY(%(names)s::text[])

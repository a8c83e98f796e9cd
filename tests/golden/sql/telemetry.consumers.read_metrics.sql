INSERT INTO telemetry_metric (event_id, occurred_at, namespace, session_id, task_id, name, value, labels)
SELECT s.id, s.occurred_at, s.namespace, s.session_id, s.task_id, left(read.name, 200), read.value, read.labels
FROM telemetry_staging s CROSS
JOIN LATERAL (SELECT CASE lower(s.metadata->>'provider_type') WHEN 'microsoft' THEN 'Microsoft' WHEN '1' THEN 'Microsoft' WHEN 'system' THEN 'System' WHEN '2' THEN 'System' END AS name) AS provider CROSS
JOIN LATERAL (SELECT s.metadata->>'name' AS name, CASE WHEN jsonb_typeof(s.metadata->'value') <> 'number' THEN NULL WHEN abs((s.metadata->>'value')::numeric) < 5e-324 THEN 0 WHEN abs((s.metadata->>'value')::numeric) <= 1.7976931348623157e308 THEN (s.metadata->>'value')::float8 END AS value, CASE WHEN jsonb_typeof(s.metadata->'labels') = 'object' THEN s.metadata->'labels' ELSE '{}' END AS labels
WHERE s.name = 'metric'
AND jsonb_typeof(s.metadata->'name') = 'string'
UNION ALL
SELECT 'provider_type', CASE provider.name WHEN 'Microsoft' THEN 1 WHEN 'System' THEN 2 END, jsonb_build_object('provider', provider.name)
WHERE s.name = 'task_start'
UNION ALL
SELECT 'provider_cache_hit', CASE s.metadata->>'provider_cache_hit' WHEN 'true' THEN 1 WHEN '1' THEN 1 WHEN 'false' THEN 0 WHEN '0' THEN 0 END, CASE WHEN provider.name IS NULL THEN '{}' ELSE jsonb_build_object('provider', provider.name) END
WHERE s.name = 'task_start') AS read
WHERE s.name IN ('metric', 'task_start')
AND read.value IS NOT NULL
ORDER BY s.occurred_at, s.id, read.name
ON CONFLICT (occurred_at, event_id, name) DO NOTHING

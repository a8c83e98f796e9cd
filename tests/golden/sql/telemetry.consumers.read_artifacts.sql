INSERT INTO telemetry_artifact (event_id, occurred_at, namespace, session_id, task_id, path_name, size, sha256, media_type)
SELECT s.id, s.occurred_at, s.namespace, s.session_id, s.task_id, s.metadata->>'path_name', read.size, CASE WHEN lower(s.metadata->>'sha256') ~ '^[0-9a-f]{64}$' THEN lower(s.metadata->>'sha256') END, CASE WHEN jsonb_typeof(s.metadata->'media_type') = 'string' THEN left(s.metadata->>'media_type', 200) END
FROM telemetry_staging s CROSS
JOIN LATERAL (SELECT CASE WHEN jsonb_typeof(s.metadata->'size') <> 'number' THEN NULL WHEN (s.metadata->>'size')::numeric BETWEEN 0
AND 9223372036854775807 THEN trunc((s.metadata->>'size')::numeric)::bigint END AS size) AS read
WHERE s.name = 'artifact_emit'
AND jsonb_typeof(s.metadata->'path_name') = 'string'
AND read.size IS NOT NULL
ORDER BY s.occurred_at, s.id
ON CONFLICT (occurred_at, event_id) DO NOTHING

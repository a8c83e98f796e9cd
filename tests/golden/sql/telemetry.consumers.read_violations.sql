INSERT INTO telemetry_policyviolation (event_id, occurred_at, namespace, session_id, task_id, file, policy, rule, severity, host)
SELECT s.id, s.occurred_at, s.namespace, s.session_id, s.task_id, s.metadata->>'file', left(s.metadata->>'policy', 200), left(s.metadata->>'rule', 200), left(s.metadata->>'severity', 50), CASE WHEN jsonb_typeof(s.metadata->'host') = 'string' THEN left(s.metadata->>'host', 255) ELSE '' END
FROM telemetry_staging s
WHERE s.name = 'policy_violation'
AND jsonb_typeof(s.metadata->'file') = 'string'
AND jsonb_typeof(s.metadata->'policy') = 'string'
AND jsonb_typeof(s.metadata->'rule') = 'string'
AND jsonb_typeof(s.metadata->'severity') = 'string'
ORDER BY s.occurred_at, s.id
ON CONFLICT (occurred_at, event_id) DO NOTHING

SELECT id, occurred_at, name, namespace, profile_id, run_id, session_id, task_id, stage, level, duration_ms, metadata::text
FROM telemetry_outboxevent
ORDER BY id
LIMIT %(limit)s

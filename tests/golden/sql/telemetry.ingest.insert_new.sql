WITH added AS (INSERT INTO telemetry_telemetryevent (id, occurred_at, name, namespace, profile_id, run_id, session_id, task_id, stage, level, duration_ms, metadata)
SELECT id, occurred_at, name, namespace, profile_id, run_id, session_id, task_id, stage, level, duration_ms, metadata
FROM telemetry_staging
ORDER BY occurred_at, id, ordinal
ON CONFLICT (occurred_at, id) DO NOTHING
RETURNING occurred_at, id), kept AS (SELECT min(s.ordinal) AS ordinal
FROM telemetry_staging s
JOIN added USING (occurred_at, id)
GROUP BY s.occurred_at, s.id)
DELETE
FROM telemetry_staging
WHERE ordinal NOT IN (SELECT ordinal
FROM kept)
RETURNING ordinal

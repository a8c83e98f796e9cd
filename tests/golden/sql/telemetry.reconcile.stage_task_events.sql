INSERT INTO telemetry_staging (ordinal, id, occurred_at, name, namespace, profile_id, run_id, session_id, task_id, stage, level, duration_ms, metadata)
SELECT row_number() OVER (ORDER BY recorded_at, id), id, occurred_at, name, namespace, profile_id, run_id, session_id, task_id, stage, level, duration_ms, metadata
FROM telemetry_telemetryevent
WHERE occurred_at >= %(day)s::date::timestamp AT TIME ZONE 'UTC'
AND occurred_at < (%(day)s::date + 1)::timestamp AT TIME ZONE 'UTC'
AND name IN ('task_start', 'task_end', 'decision')
AND task_id <> ''

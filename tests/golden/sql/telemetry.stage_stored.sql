INSERT INTO telemetry_staging
SELECT row_number() OVER (ORDER BY occurred_at, id), id, occurred_at, name, namespace, profile_id, run_id, session_id, task_id, stage, level, duration_ms, metadata
FROM (SELECT *
FROM telemetry_telemetryevent
WHERE (occurred_at, id) > (coalesce(%(after_at)s::timestamptz, '-infinity'), coalesce(%(after_id)s::uuid, '00000000-0000-0000-0000-000000000000'))
AND occurred_at >= %(day)s::date::timestamp AT TIME ZONE 'UTC'
AND occurred_at < (%(day)s::date + 1)::timestamp AT TIME ZONE 'UTC'
ORDER BY occurred_at, id
LIMIT %(limit)s) AS event

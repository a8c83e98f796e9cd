WITH batch AS (DELETE
FROM telemetry_projectiondrift
WHERE kind = 'missing_in_projection'
AND task_id IN (SELECT task_id
FROM telemetry_projectiondrift
WHERE kind = 'missing_in_projection'
ORDER BY task_id
LIMIT %(limit)s)
RETURNING *), inserted AS (INSERT INTO telemetry_taskprojection (task_id, namespace, title, status, last_status_ts, priority, tags_json, last_event_ts, updated_utc, status_rank)
SELECT task_id, namespace, title, status, changed_at, priority, coalesce(tags, '[]'), changed_at, clock_timestamp(), 4
FROM batch
ORDER BY task_id
ON CONFLICT (task_id) DO NOTHING
RETURNING 1)
SELECT (SELECT count(*)
FROM batch), (SELECT count(*)
FROM inserted)

WITH batch AS MATERIALIZED (SELECT task_id, seen_status, seen_status_ts, seen_rank
FROM telemetry_projectiondrift
WHERE kind = 'forgotten'
ORDER BY task_id
LIMIT %(limit)s), same AS MATERIALIZED (SELECT p.task_id
FROM batch b
JOIN telemetry_taskprojection p ON p.task_id = b.task_id
WHERE (p.status, p.last_status_ts, p.status_rank) = (b.seen_status, b.seen_status_ts, b.seen_rank)
ORDER BY p.task_id
FOR
UPDATE OF p), deleted AS (DELETE
FROM telemetry_taskprojection p USING same s
WHERE p.task_id = s.task_id
RETURNING 1), done AS (DELETE
FROM telemetry_projectiondrift d USING batch b
WHERE d.kind = 'forgotten'
AND d.task_id = b.task_id)
SELECT (SELECT count(*)
FROM batch), (SELECT count(*)
FROM deleted)

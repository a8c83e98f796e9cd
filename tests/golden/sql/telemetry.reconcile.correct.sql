WITH batch AS MATERIALIZED (SELECT *
FROM telemetry_projectiondrift
WHERE kind = %(kind)s
ORDER BY task_id
LIMIT %(limit)s), same AS MATERIALIZED (SELECT p.task_id, b.status, b.changed_at
FROM batch b
JOIN telemetry_taskprojection p ON p.task_id = b.task_id
WHERE (p.status, p.last_status_ts, p.status_rank) = (b.seen_status, b.seen_status_ts, b.seen_rank)
ORDER BY p.task_id
FOR
UPDATE OF p), corrected AS (UPDATE telemetry_taskprojection p
SET status = coalesce(s.status, 'orphaned'), orphaned_at = CASE WHEN s.status IS NULL THEN clock_timestamp() END, last_status_ts = greatest(p.last_status_ts, s.changed_at), status_rank = CASE WHEN s.status IS NULL THEN p.status_rank ELSE 4 END, status_event_id = CASE WHEN s.status IS NULL THEN p.status_event_id END, updated_utc = clock_timestamp()
FROM same s
WHERE p.task_id = s.task_id
RETURNING 1), done AS (DELETE
FROM telemetry_projectiondrift d USING batch b
WHERE d.kind = b.kind
AND d.task_id = b.task_id)
SELECT (SELECT count(*)
FROM batch), (SELECT count(*)
FROM corrected)

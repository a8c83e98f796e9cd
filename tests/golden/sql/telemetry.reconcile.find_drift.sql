INSERT INTO telemetry_projectiondrift (kind, task_id, status, changed_at, title, priority, tags, namespace, seen_status, seen_status_ts, seen_rank)
SELECT CASE WHEN p.task_id IS NULL THEN 'missing_in_projection' WHEN a.task_id IS NULL THEN 'missing_in_tasks' ELSE 'status_mismatch' END, coalesce(a.task_id, p.task_id), lower(a.status), a.changed_at, a.title, a.priority, a.tags, a.namespace, p.status, p.last_status_ts, p.status_rank
FROM telemetry_authority a FULL
JOIN telemetry_taskprojection p ON p.task_id = a.task_id
WHERE CASE WHEN p.task_id IS NULL THEN lower(a.status) <> 'pending' WHEN a.task_id IS NULL THEN p.orphaned_at IS NULL
AND p.namespace IS DISTINCT
FROM 'orbit-selfcheck' ELSE lower(a.status) <> p.status END

INSERT INTO telemetry_projectiondrift (kind, task_id, status, changed_at, title, priority, tags, namespace, seen_status, seen_status_ts, seen_rank)
SELECT d.kind, d.task_id, d.status, d.changed_at, d.title, d.priority, d.tags, d.namespace, d.seen_status, d.seen_status_ts, d.seen_rank
FROM (SELECT CASE WHEN p.task_id IS NULL THEN CASE WHEN lower(a.status) <> 'pending' THEN 'missing_in_projection' END WHEN a.task_id IS NOT NULL THEN CASE WHEN lower(a.status) <> p.status THEN 'status_mismatch' END WHEN p.namespace IS NOT DISTINCT
FROM 'orbit-selfcheck' THEN NULL WHEN p.last_event_ts < now() - make_interval(days => %(forgotten_days)s::int) THEN 'forgotten' WHEN p.last_event_ts < now() - make_interval(days => %(unknown_days)s::int, hours => -1) THEN NULL WHEN p.orphaned_at IS NULL THEN 'missing_in_tasks' END AS kind, coalesce(a.task_id, p.task_id) AS task_id, lower(a.status) AS status, a.changed_at, a.title, a.priority, a.tags, a.namespace, p.status AS seen_status, p.last_status_ts AS seen_status_ts, p.status_rank AS seen_rank
FROM telemetry_authority a FULL
JOIN telemetry_taskprojection p ON p.task_id = a.task_id
WHERE a.is_waiting IS NOT TRUE
AND (p.task_id IS NULL
OR p.updated_utc < %(since)s)) AS d
WHERE d.kind IS NOT NULL

SELECT k.kind, (SELECT count(*)
FROM telemetry_projectiondrift d
WHERE d.kind = k.kind), ARRAY(SELECT d.task_id
FROM telemetry_projectiondrift d
WHERE d.kind = k.kind
ORDER BY d.task_id
LIMIT 5)
FROM unnest(ARRAY['missing_in_projection', 'missing_in_tasks', 'status_mismatch']) AS k(kind)

SELECT a.*, w.task_id IS NOT NULL
FROM ({}) AS a (task_id, status, changed_at, title, priority, tags, namespace)
LEFT
JOIN (SELECT DISTINCT task_id
FROM telemetry_outboxevent
WHERE task_id <> '') AS w ON w.task_id = a.task_id

SELECT EXISTS (SELECT
FROM telemetry_staging s
WHERE s.name IN ('task_start', 'task_end', 'decision')
AND s.task_id <> ''
GROUP BY s.task_id HAVING min(coalesce(s.namespace, '')) <> max(coalesce(s.namespace, '')))

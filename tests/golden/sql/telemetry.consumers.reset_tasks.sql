WITH slice AS MATERIALIZED (SELECT task_id
FROM telemetry_taskprojection
WHERE task_id > %(after)s
ORDER BY task_id
LIMIT %(limit)s
FOR
UPDATE), reset AS (UPDATE telemetry_taskprojection p
SET title = NULL, status = 'pending', last_status_ts = 'epoch', priority = NULL, tags_json = '[]', last_event_ts = 'epoch', updated_utc = clock_timestamp(), status_rank = -1, status_event_id = NULL, start_ts = NULL, start_event_id = NULL
FROM slice
WHERE p.task_id = slice.task_id
AND p.status <> 'orphaned')
SELECT max(task_id)
FROM slice

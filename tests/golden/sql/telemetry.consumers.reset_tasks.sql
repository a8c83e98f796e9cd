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
AND p.status <> 'orphaned'
AND (%(lost)s::date IS NULL
OR least(p.start_ts, p.last_status_ts, p.last_event_ts) >= (%(lost)s::date + 1)::timestamp AT TIME ZONE 'UTC'))
SELECT max(task_id)
FROM slice

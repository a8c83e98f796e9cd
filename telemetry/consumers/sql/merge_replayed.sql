-- Merge a slice of the replayed tasks into the projection; return its last task, or null.
-- params: after text, limit int
WITH slice AS MATERIALIZED (
    SELECT * FROM telemetry_replayed_task
    WHERE task_id > %(after)s
    ORDER BY task_id
    LIMIT %(limit)s
),
merged AS (
    INSERT INTO telemetry_taskprojection AS p (
        task_id, namespace, title, status, last_status_ts, priority, tags_json, last_event_ts,
        updated_utc, status_rank, status_event_id, start_ts, start_event_id)
    SELECT
        task_id, namespace, title, status, last_status_ts, priority, tags_json, last_event_ts,
        updated_utc, status_rank, status_event_id, start_ts, start_event_id
    FROM slice
    ORDER BY task_id
    {{merge}}
)
SELECT max(task_id) FROM slice

-- Write the task events of the staging table, a row for each task.
-- {{target}} is the projection, or a table like it. {{owner(task)}} is the namespace that already
-- owns the task, or null.
INSERT INTO {{target}} AS p (
    task_id, namespace, title, status, last_status_ts, priority, tags_json, last_event_ts,
    updated_utc, status_rank, status_event_id, start_ts, start_event_id)
SELECT DISTINCT ON (task_id)
    task_id,
    owner,
    first_value(title) OVER by_start,
    coalesce(first_value(status) OVER by_status, 'pending'),
    -- Without a status: since its first event.
    coalesce(first_value(status_ts) OVER by_status, min(occurred_at) OVER task),
    first_value(priority) OVER by_start,
    coalesce(first_value(tags) OVER by_start, '[]'),
    max(occurred_at) OVER task,
    clock_timestamp(),
    first_value(rank) OVER by_status,
    first_value(status_event) OVER by_status,
    first_value(start_ts) OVER by_start,
    first_value(start_event) OVER by_start
FROM (
    SELECT
        event.*,
        coalesce(
            {{owner(event.task_id)}},
            -- The first that came owns it.
            first_value(event.namespace) OVER (
                PARTITION BY event.task_id ORDER BY event.namespace IS NULL, event.ordinal)
        ) AS owner,
        CASE WHEN event.status IS NOT NULL THEN event.occurred_at END AS status_ts,
        CASE WHEN event.status IS NOT NULL THEN event.id END AS status_event,
        CASE
            WHEN event.status IS NULL THEN 0
            WHEN event.name = 'task_start' THEN 1
            WHEN event.name = 'task_end' THEN 2
            ELSE 3
        END AS rank
    FROM (
        SELECT
            s.ordinal, s.id, s.occurred_at, s.name, s.namespace, s.task_id,
            CASE
                WHEN s.name = 'task_start' THEN 'running'
                WHEN s.name = 'task_end' AND s.metadata->'success' = 'true' THEN 'succeeded'
                WHEN s.name = 'task_end' THEN 'failed'
                WHEN s.metadata->>'status' IN (
                    'pending', 'running', 'succeeded', 'failed', 'cancelled')
                    THEN s.metadata->>'status'
            END AS status,
            CASE WHEN s.name = 'task_start' THEN s.occurred_at END AS start_ts,
            CASE WHEN s.name = 'task_start' THEN s.id END AS start_event,
            -- Older events may hold anything: each cast is behind a CASE.
            CASE WHEN s.name = 'task_start' AND jsonb_typeof(s.metadata->'title') = 'string'
                THEN s.metadata->>'title' END AS title,
            CASE
                WHEN s.name <> 'task_start' THEN NULL
                WHEN jsonb_typeof(s.metadata->'priority') <> 'number' THEN NULL
                WHEN abs((s.metadata->>'priority')::numeric) <= 9223372036854775807
                    THEN trunc((s.metadata->>'priority')::numeric)::bigint
            END AS priority,
            CASE WHEN s.name = 'task_start' AND jsonb_typeof(s.metadata->'tags') = 'array'
                THEN s.metadata->'tags' END AS tags
        FROM telemetry_staging s
        WHERE s.name IN ('task_start', 'task_end', 'decision') AND s.task_id <> ''
        OFFSET 0    -- a fence for the planner: it would sort whole metadata
    ) AS event
) AS owned
WHERE namespace IS NULL OR namespace = owner
-- Only windows: the staging table has no statistics, and a join over it could be a nested loop.
WINDOW
    task AS (PARTITION BY task_id),
    by_status AS (
        PARTITION BY task_id
        ORDER BY (status IS NULL), occurred_at DESC, rank DESC, id DESC),
    by_start AS (
        PARTITION BY task_id ORDER BY (start_ts IS NULL), occurred_at DESC, id DESC)
-- The order of the key: two batches lock the same tasks in the same order.
ORDER BY task_id
{{merge}}

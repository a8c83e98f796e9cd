SELECT set_config('orbit.projection_updater', 'on', true);
INSERT INTO telemetry_taskprojection AS p (task_id, namespace, title, status, last_status_ts, priority, tags_json, last_event_ts, updated_utc, status_rank, status_event_id, start_ts, start_event_id)
SELECT DISTINCT ON (task_id) task_id, owner, first_value(title) OVER by_start, coalesce(first_value(status) OVER by_status, 'pending'), coalesce(first_value(status_ts) OVER by_status, min(occurred_at) OVER task), first_value(priority) OVER by_start, coalesce(first_value(tags) OVER by_start, '[]'), max(occurred_at) OVER task, clock_timestamp(), first_value(rank) OVER by_status, first_value(status_event) OVER by_status, first_value(start_ts) OVER by_start, first_value(start_event) OVER by_start
FROM (SELECT event.*, coalesce((SELECT r.namespace
FROM telemetry_taskprojection r
WHERE r.task_id = event.task_id), first_value(event.namespace) OVER (PARTITION BY event.task_id
ORDER BY event.namespace IS NULL, event.ordinal)) AS owner, CASE WHEN event.status IS NOT NULL THEN event.occurred_at END AS status_ts, CASE WHEN event.status IS NOT NULL THEN event.id END AS status_event, CASE WHEN event.status IS NULL THEN 0 WHEN event.name = 'task_start' THEN 1 WHEN event.name = 'task_end' THEN 2 ELSE 3 END AS rank
FROM (SELECT s.ordinal, s.id, s.occurred_at, s.name, s.namespace, s.task_id, CASE WHEN s.name = 'task_start' THEN 'running' WHEN s.name = 'task_end'
AND s.metadata->'success' = 'true' THEN 'succeeded' WHEN s.name = 'task_end' THEN 'failed' WHEN s.metadata->>'status' IN ('pending', 'running', 'succeeded', 'failed', 'cancelled') THEN s.metadata->>'status' END AS status, CASE WHEN s.name = 'task_start' THEN s.occurred_at END AS start_ts, CASE WHEN s.name = 'task_start' THEN s.id END AS start_event, CASE WHEN s.name = 'task_start'
AND jsonb_typeof(s.metadata->'title') = 'string' THEN s.metadata->>'title' END AS title, CASE WHEN s.name <> 'task_start' THEN NULL WHEN jsonb_typeof(s.metadata->'priority') <> 'number' THEN NULL WHEN abs((s.metadata->>'priority')::numeric) <= 9223372036854775807 THEN trunc((s.metadata->>'priority')::numeric)::bigint END AS priority, CASE WHEN s.name = 'task_start'
AND jsonb_typeof(s.metadata->'tags') = 'array' THEN s.metadata->'tags' END AS tags
FROM telemetry_staging s
WHERE s.name IN ('task_start', 'task_end', 'decision')
AND s.task_id <> '' OFFSET 0) AS event) AS owned
WHERE namespace IS NULL
OR namespace = owner WINDOW task AS (PARTITION BY task_id), by_status AS (PARTITION BY task_id
ORDER BY (status IS NULL), occurred_at DESC, rank DESC, id DESC), by_start AS (PARTITION BY task_id
ORDER BY (start_ts IS NULL), occurred_at DESC, id DESC)
ORDER BY task_id
ON CONFLICT (task_id) DO
UPDATE
SET namespace = coalesce(p.namespace, excluded.namespace), status = CASE WHEN (CASE WHEN p.status_rank <= 0
AND excluded.status_rank <> p.status_rank THEN excluded.status_rank > p.status_rank WHEN excluded.status_rank = 0 THEN p.status_rank = 0
AND excluded.last_status_ts < p.last_status_ts ELSE (excluded.last_status_ts, excluded.status_rank, excluded.status_event_id) > (p.last_status_ts, p.status_rank, p.status_event_id) END)
AND (excluded.status_rank > 0
OR p.status_rank < 0) THEN excluded.status ELSE p.status END, last_status_ts = CASE WHEN (CASE WHEN p.status_rank <= 0
AND excluded.status_rank <> p.status_rank THEN excluded.status_rank > p.status_rank WHEN excluded.status_rank = 0 THEN p.status_rank = 0
AND excluded.last_status_ts < p.last_status_ts ELSE (excluded.last_status_ts, excluded.status_rank, excluded.status_event_id) > (p.last_status_ts, p.status_rank, p.status_event_id) END) THEN excluded.last_status_ts ELSE p.last_status_ts END, status_rank = CASE WHEN (CASE WHEN p.status_rank <= 0
AND excluded.status_rank <> p.status_rank THEN excluded.status_rank > p.status_rank WHEN excluded.status_rank = 0 THEN p.status_rank = 0
AND excluded.last_status_ts < p.last_status_ts ELSE (excluded.last_status_ts, excluded.status_rank, excluded.status_event_id) > (p.last_status_ts, p.status_rank, p.status_event_id) END) THEN excluded.status_rank ELSE p.status_rank END, status_event_id = CASE WHEN (CASE WHEN p.status_rank <= 0
AND excluded.status_rank <> p.status_rank THEN excluded.status_rank > p.status_rank WHEN excluded.status_rank = 0 THEN p.status_rank = 0
AND excluded.last_status_ts < p.last_status_ts ELSE (excluded.last_status_ts, excluded.status_rank, excluded.status_event_id) > (p.last_status_ts, p.status_rank, p.status_event_id) END) THEN excluded.status_event_id ELSE p.status_event_id END, title = CASE WHEN (excluded.start_ts IS NOT NULL
AND (p.start_ts IS NULL
OR (excluded.start_ts, excluded.start_event_id) > (p.start_ts, p.start_event_id))) THEN excluded.title ELSE p.title END, priority = CASE WHEN (excluded.start_ts IS NOT NULL
AND (p.start_ts IS NULL
OR (excluded.start_ts, excluded.start_event_id) > (p.start_ts, p.start_event_id))) THEN excluded.priority ELSE p.priority END, tags_json = CASE WHEN (excluded.start_ts IS NOT NULL
AND (p.start_ts IS NULL
OR (excluded.start_ts, excluded.start_event_id) > (p.start_ts, p.start_event_id))) THEN excluded.tags_json ELSE p.tags_json END, start_ts = CASE WHEN (excluded.start_ts IS NOT NULL
AND (p.start_ts IS NULL
OR (excluded.start_ts, excluded.start_event_id) > (p.start_ts, p.start_event_id))) THEN excluded.start_ts ELSE p.start_ts END, start_event_id = CASE WHEN (excluded.start_ts IS NOT NULL
AND (p.start_ts IS NULL
OR (excluded.start_ts, excluded.start_event_id) > (p.start_ts, p.start_event_id))) THEN excluded.start_event_id ELSE p.start_event_id END, last_event_ts = greatest(p.last_event_ts, excluded.last_event_ts), updated_utc = excluded.updated_utc
WHERE (p.namespace = excluded.namespace) IS NOT FALSE
AND ((CASE WHEN p.status_rank <= 0
AND excluded.status_rank <> p.status_rank THEN excluded.status_rank > p.status_rank WHEN excluded.status_rank = 0 THEN p.status_rank = 0
AND excluded.last_status_ts < p.last_status_ts ELSE (excluded.last_status_ts, excluded.status_rank, excluded.status_event_id) > (p.last_status_ts, p.status_rank, p.status_event_id) END)
OR (excluded.start_ts IS NOT NULL
AND (p.start_ts IS NULL
OR (excluded.start_ts, excluded.start_event_id) > (p.start_ts, p.start_event_id)))
OR excluded.last_event_ts > p.last_event_ts
OR (p.namespace IS NULL
AND excluded.namespace IS NOT NULL));
SELECT set_config('orbit.projection_updater', 'off', true)

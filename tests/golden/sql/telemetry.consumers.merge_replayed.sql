WITH slice AS MATERIALIZED (SELECT *
FROM telemetry_replayed_task
WHERE task_id > %(after)s
ORDER BY task_id
LIMIT %(limit)s), merged AS (INSERT INTO telemetry_taskprojection AS p (task_id, namespace, title, status, last_status_ts, priority, tags_json, last_event_ts, updated_utc, status_rank, status_event_id, start_ts, start_event_id)
SELECT task_id, namespace, title, status, last_status_ts, priority, tags_json, last_event_ts, updated_utc, status_rank, status_event_id, start_ts, start_event_id
FROM slice
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
AND excluded.namespace IS NOT NULL)))
SELECT max(task_id)
FROM slice

-- Merge a projected task into the row that is there. Neither goes back; the order doesn't matter.
ON CONFLICT (task_id) DO UPDATE SET
    namespace = coalesce(p.namespace, excluded.namespace),
    -- A row without a status event only gets an earlier time.
    status = CASE
        WHEN {{newer_status}} AND (excluded.status_rank > 0 OR p.status_rank < 0)
        THEN excluded.status ELSE p.status END,
    last_status_ts =
        CASE WHEN {{newer_status}} THEN excluded.last_status_ts ELSE p.last_status_ts END,
    status_rank = CASE WHEN {{newer_status}} THEN excluded.status_rank ELSE p.status_rank END,
    status_event_id =
        CASE WHEN {{newer_status}} THEN excluded.status_event_id ELSE p.status_event_id END,
    title = CASE WHEN {{newer_start}} THEN excluded.title ELSE p.title END,
    priority = CASE WHEN {{newer_start}} THEN excluded.priority ELSE p.priority END,
    tags_json = CASE WHEN {{newer_start}} THEN excluded.tags_json ELSE p.tags_json END,
    start_ts = CASE WHEN {{newer_start}} THEN excluded.start_ts ELSE p.start_ts END,
    start_event_id =
        CASE WHEN {{newer_start}} THEN excluded.start_event_id ELSE p.start_event_id END,
    last_event_ts = greatest(p.last_event_ts, excluded.last_event_ts),
    updated_utc = excluded.updated_utc
-- Another namespace's events don't touch the row.
WHERE (p.namespace = excluded.namespace) IS NOT FALSE
  -- An event that was merged before writes nothing.
  AND ({{newer_status}} OR {{newer_start}} OR excluded.last_event_ts > p.last_event_ts
       OR (p.namespace IS NULL AND excluded.namespace IS NOT NULL))

-- Whether the task_start of ``excluded`` is newer than the row's.
(excluded.start_ts IS NOT NULL AND (
    p.start_ts IS NULL
    OR (excluded.start_ts, excluded.start_event_id) > (p.start_ts, p.start_event_id)))

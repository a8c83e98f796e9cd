-- List the differences, and the old tasks that the authority has forgotten.
-- `telemetry_authority` was made just before in this transaction. Tasks that were projected after
-- `since`, or have an event in the outbox, are still on their way: they are no drift.
-- params: since timestamptz, unknown_days int, forgotten_days int
INSERT INTO telemetry_projectiondrift (
    kind, task_id, status, changed_at, title, priority, tags, namespace,
    seen_status, seen_status_ts, seen_rank)
SELECT d.kind, d.task_id, d.status, d.changed_at, d.title, d.priority, d.tags, d.namespace,
    d.seen_status, d.seen_status_ts, d.seen_rank
FROM (
    SELECT
        CASE
            -- PENDING is no row, or `pending`.
            WHEN p.task_id IS NULL THEN
                CASE WHEN lower(a.status) <> 'pending' THEN 'missing_in_projection' END
            WHEN a.task_id IS NOT NULL THEN
                CASE WHEN lower(a.status) <> p.status THEN 'status_mismatch' END
            WHEN p.namespace IS NOT DISTINCT FROM '{{selfcheck}}' THEN NULL
            WHEN p.last_event_ts < now() - make_interval(days => %(forgotten_days)s::int)
                THEN 'forgotten'
            -- The authority deletes tasks by their end: an hour more, for clocks that differ.
            WHEN p.last_event_ts
                < now() - make_interval(days => %(unknown_days)s::int, hours => -1) THEN NULL
            -- An orphan was counted when it became one, also if events went on.
            WHEN p.orphaned_at IS NULL THEN 'missing_in_tasks'
        END AS kind,
        coalesce(a.task_id, p.task_id) AS task_id,
        lower(a.status) AS status, a.changed_at, a.title, a.priority, a.tags, a.namespace,
        p.status AS seen_status, p.last_status_ts AS seen_status_ts, p.status_rank AS seen_rank
    FROM telemetry_authority a
    FULL JOIN telemetry_taskprojection p ON p.task_id = a.task_id
    WHERE a.is_waiting IS NOT TRUE
      AND (p.task_id IS NULL OR p.updated_utc < %(since)s)
) AS d
WHERE d.kind IS NOT NULL

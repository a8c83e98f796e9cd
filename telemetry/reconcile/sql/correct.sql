-- Correct a batch of tasks whose status differs, or orphan those that the authority doesn't know.
-- Returns how many there were, and how many were changed.
-- params: kind text, limit int
WITH batch AS MATERIALIZED (
    SELECT *
    FROM telemetry_projectiondrift
    WHERE kind = %(kind)s
    ORDER BY task_id
    LIMIT %(limit)s
),
same AS MATERIALIZED (   -- no event has changed them since they were compared
    SELECT p.task_id, b.status, b.changed_at
    FROM batch b
    JOIN telemetry_taskprojection p ON p.task_id = b.task_id
    WHERE (p.status, p.last_status_ts, p.status_rank)
        = (b.seen_status, b.seen_status_ts, b.seen_rank)
    ORDER BY p.task_id   -- as ingest locks them
    FOR UPDATE OF p
),
corrected AS (
    UPDATE telemetry_taskprojection p
    SET status = coalesce(s.status, 'orphaned'),
        -- It stays set when events go on, so that an orphan is counted once.
        orphaned_at = CASE WHEN s.status IS NULL THEN clock_timestamp() END,
        -- An orphan keeps time and rank: its next event changes its status again.
        last_status_ts = greatest(p.last_status_ts, s.changed_at),
        status_rank = CASE WHEN s.status IS NULL THEN p.status_rank ELSE {{authority_rank}} END,
        status_event_id = CASE WHEN s.status IS NULL THEN p.status_event_id END,
        updated_utc = clock_timestamp()
    FROM same s
    WHERE p.task_id = s.task_id
    RETURNING 1
),
done AS (
    DELETE FROM telemetry_projectiondrift d
    USING batch b
    WHERE d.kind = b.kind AND d.task_id = b.task_id
)
SELECT (SELECT count(*) FROM batch), (SELECT count(*) FROM corrected)

-- Dismiss open dead letters. Return those that were dismissed.
-- params: letters json, by text, reason text, data jsonb
WITH selected AS (
    SELECT * FROM json_to_recordset(%(letters)s::json) AS x(id uuid, record_id uuid)
),
letters AS (
    UPDATE orbit_deadletterdispatch l
    SET status = 'dismissed',
        resolved_by = %(by)s,
        resolved_at = clock_timestamp(),
        resolved_reason = %(reason)s
    FROM selected
    WHERE l.id = selected.id
      AND l.status IN ({{letter_sources}})
    RETURNING l.id, l.cycle_id, l.namespace, selected.record_id
),
records AS (
    INSERT INTO orbit_recordgroup (
        id, partition_key, cycle_id, stage, event, level, namespace, message, data)
    SELECT
        record_id, cycle_id, cycle_id, 'dispatch', 'dead_letter_dismissed', 'info', namespace,
        %(reason)s, %(data)s::jsonb || jsonb_build_object('dead_letter_id', id)
    FROM letters
)
SELECT id, namespace FROM letters ORDER BY id

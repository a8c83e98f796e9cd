-- Claim as many due jobs of a cycle as its limited endpoints allow, and save their new limits.
-- No gate: lock_cycle.sql has read it in this transaction.
-- params: allowed json, limits json
WITH {{locked}},
ranked AS MATERIALIZED (   -- a query with a window function can't lock its rows
    SELECT
        j.id,
        x.most,
        row_number() OVER (PARTITION BY s.state_id ORDER BY j.next_attempt_at, j.id) AS rank
    FROM orbit_dispatchjob j
    JOIN locked ON locked.id = j.cycle_id
    JOIN orbit_endpointsnapshot s ON s.id = j.snapshot_id
    JOIN json_to_recordset(%(allowed)s::json) AS x(state_id uuid, most int)
        ON x.state_id = s.state_id
    WHERE j.status = 'pending'
      AND j.next_attempt_at <= clock_timestamp()
),
due AS MATERIALIZED (
    SELECT j.id
    FROM orbit_dispatchjob j
    JOIN ranked r ON r.id = j.id
    WHERE r.rank <= r.most
      AND j.status = 'pending'   -- once more: it may have changed before the lock
    FOR NO KEY UPDATE OF j
),
new_limits AS (   -- the rows are locked since lock_limits.sql, so these values still hold
    UPDATE orbit_endpointstate e
    SET opened_at = x.opened_at,
        probe_at = x.probe_at,
        probe_wait = x.probe_wait,
        next_slot_at = x.next_slot_at,
        next_turn_at = x.next_turn_at
    FROM json_to_recordset(%(limits)s::json) AS x(
        id uuid, opened_at timestamptz, probe_at timestamptz, probe_wait float8,
        next_slot_at timestamptz, next_turn_at timestamptz)
    WHERE e.id = x.id
),
{{start_attempts}}
SELECT
    locked.id, m.receipt_id, m.id, m.attempts, m.spent, m.max_retries, m.delivery_id,
    m.endpoint_key, m.snapshot_id, i.payload, i.content_type, s.state_id, {{may_have_arrived}}
FROM locked
LEFT JOIN moved m ON m.cycle_id = locked.id   -- LEFT: a row without jobs says that the fence held
LEFT JOIN orbit_normalizationitem i ON i.id = m.normalization_item_id
LEFT JOIN orbit_endpointsnapshot s ON s.id = m.snapshot_id

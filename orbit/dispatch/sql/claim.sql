-- Claim due jobs of a cycle whose endpoints have no limit, and look at what is left.
-- params: limit int, full uuid[]
WITH {{locked}},
due AS MATERIALIZED (   -- fences the planner: a nested loop could take more than the limit
    SELECT j.id
    FROM orbit_dispatchjob j
    JOIN locked ON locked.id = j.cycle_id
    JOIN orbit_endpointsnapshot s ON s.id = j.snapshot_id
    LEFT JOIN orbit_endpointstate e ON e.id = s.state_id
    WHERE j.status = 'pending'
      AND j.next_attempt_at <= clock_timestamp()
      AND {{gate_is_open(locked.namespace)}}
      AND (
          e.id IS NULL
          OR NOT {{is_limited}}                   -- claim_limited.sql claims these, under a lock
          AND e.id <> ALL(%(full)s::uuid[])       -- these have their share of the senders
      )
    ORDER BY j.next_attempt_at, j.id
    LIMIT %(limit)s
    FOR NO KEY UPDATE OF j   -- a receipt's foreign key doesn't wait for this lock
),
{{start_attempts}}
SELECT
    locked.id, m.receipt_id, m.id, m.attempts, m.spent, m.max_retries, m.delivery_id,
    m.endpoint_key, m.snapshot_id, i.payload, i.content_type, s.state_id, {{may_have_arrived}},
    rest.endpoint, rest.wait, rest.shared
FROM locked
LEFT JOIN moved m ON m.cycle_id = locked.id   -- LEFT: a row without jobs says that the fence held
LEFT JOIN orbit_normalizationitem i ON i.id = m.normalization_item_id
LEFT JOIN orbit_endpointsnapshot s ON s.id = m.snapshot_id
LEFT JOIN LATERAL (   -- the backlog, read without locks
    SELECT
        -- the limited endpoint that is free first
        (array_agg(x.id ORDER BY x.free_at) FILTER (WHERE x.limited))[1] AS endpoint,
        -- seconds until any limited endpoint is free; null: take their locks and see
        CASE
            WHEN bool_and(x.closed) FILTER (WHERE x.limited)
            THEN extract(
                epoch FROM min(x.free_at) FILTER (WHERE x.limited) - clock_timestamp()
            )::float8
        END AS wait,
        -- jobs wait for endpoints that have their share of the senders
        coalesce(bool_or(NOT x.limited AND x.id = ANY(%(full)s::uuid[])), false) AS shared
    FROM (
        SELECT
            e.id,
            {{is_limited}} AS limited,
            coalesce(e.probe_at, e.hold_until) AS free_at,
            coalesce(
                CASE
                    WHEN e.opened_at IS NULL THEN e.hold_until > clock_timestamp()
                    ELSE e.probe_at > clock_timestamp()
                        -- down for longer: claim_limited.sql gives jobs up, under the lock
                        AND e.opened_at > clock_timestamp() - {{down_seconds}} * interval '1 second'
                END,
                false
            ) AS closed
        FROM orbit_dispatchjob j
        JOIN locked ON locked.id = j.cycle_id
        JOIN orbit_endpointsnapshot s ON s.id = j.snapshot_id
        LEFT JOIN orbit_endpointstate e ON e.id = s.state_id
        WHERE j.status = 'pending'
          AND j.next_attempt_at <= clock_timestamp()
          AND {{gate_is_open(locked.namespace)}}
    ) AS x
) AS rest ON (SELECT count(*) FROM moved) < %(limit)s   -- asked only if senders are left

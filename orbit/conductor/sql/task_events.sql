-- The events of tasks that a statement moved, as a CTE: it reads the CTE `changed`, which has id,
-- run_id, namespace, name, priority, state and started_at as they are now.
events AS (
    INSERT INTO telemetry_outboxevent (
        id, occurred_at, name, namespace, session_id, task_id, level, duration_ms, metadata)
    SELECT
        -- A UUIDv7, so that the queue is read in order: 48 bits of milliseconds, the version, then
        -- 12 bits of what follows them.
        encode(
            overlay(uuid_send(gen_random_uuid())
                PLACING int8send((m.us / 1000 << 16) | x'7000'::bigint | mod(m.us, 1000) * 4)
                FROM 1 FOR 8),
            'hex')::uuid,
        m.at,
        CASE c.state
            WHEN 'RUNNING' THEN 'task_start' WHEN 'CANCELLED' THEN 'decision' ELSE 'task_end'
        END,
        c.namespace,
        c.run_id,
        c.id,
        CASE c.state WHEN 'FAILED' THEN 'error' ELSE 'info' END,
        CASE WHEN c.state IN ('SUCCEEDED', 'FAILED')
            THEN greatest(0, extract(epoch FROM m.at - c.started_at) * 1000)::float8 END,
        CASE c.state
            WHEN 'RUNNING' THEN jsonb_build_object('title', c.name, 'priority', c.priority)
            WHEN 'CANCELLED' THEN jsonb_build_object('status', 'cancelled')
            ELSE jsonb_build_object('success', c.state = 'SUCCEEDED')
        END
    FROM changed c
    CROSS JOIN LATERAL (
        SELECT n.at, (extract(epoch FROM n.at) * 1000000)::bigint AS us
        FROM (SELECT clock_timestamp() AS at, c.id OFFSET 0) AS n   -- else called for each mention
        OFFSET 0
    ) AS m
)

-- The events of tasks that a statement moved, as a CTE: it reads the CTE `changed`, which has id,
-- run_id, namespace, name, priority, state, started_at and state_changed_at as they are now
-- (RETURNING t.*), and no task whose state is as it was before. An event has the time of its
-- transition, which grows from one transition of a task to the next.
events AS (
    INSERT INTO telemetry_outboxevent (
        id, occurred_at, name, namespace, session_id, task_id, stage, level, duration_ms, metadata)
    SELECT
        -- A UUIDv7, so that the queue is read in order: 48 bits of milliseconds, the version, then
        -- 12 bits of what follows them.
        encode(
            overlay(uuid_send(gen_random_uuid())
                PLACING int8send((c.us / 1000 << 16) | x'7000'::bigint | mod(c.us, 1000) * 4)
                FROM 1 FOR 8),
            'hex')::uuid,
        c.state_changed_at,
        CASE c.state
            WHEN 'RUNNING' THEN 'task_start' WHEN 'CANCELLED' THEN 'decision' ELSE 'task_end'
        END,
        c.namespace,
        c.run_id,
        c.id,
        '{{stage}}',
        CASE c.state WHEN 'FAILED' THEN 'error' ELSE 'info' END,
        CASE WHEN c.state IN ('SUCCEEDED', 'FAILED') THEN
            greatest(0, extract(epoch FROM c.state_changed_at - c.started_at) * 1000)::float8
        END,
        CASE c.state
            WHEN 'RUNNING' THEN jsonb_build_object('title', c.name, 'priority', c.priority)
            WHEN 'CANCELLED' THEN jsonb_build_object('status', 'cancelled')
            ELSE jsonb_build_object('success', c.state = 'SUCCEEDED')
        END
    FROM (
        SELECT *, (extract(epoch FROM state_changed_at) * 1000000)::bigint AS us FROM changed
    ) AS c
)

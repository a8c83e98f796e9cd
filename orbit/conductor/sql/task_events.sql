-- A CTE that writes the events of tasks whose state a statement has just changed, once each. It
-- reads the CTE `changed` with id, run_id, namespace, name, priority, state, attempt, started_at and
-- state_changed_at as they are now (RETURNING t.*), and no task whose state is as it was before.
-- An event has the time of its transition, which grows from transition to transition of a task. Its
-- id is a UUIDv7, so that the outbox is emptied in order of time.
events AS (
    INSERT INTO telemetry_outboxevent (
        id, occurred_at, name, namespace, session_id, task_id, stage, level, duration_ms, metadata)
    SELECT
        encode(
            set_bit(
                set_bit(
                    overlay(
                        uuid_send(gen_random_uuid())
                        PLACING substring(
                            int8send(floor(extract(epoch FROM c.state_changed_at) * 1000)::bigint)
                            FROM 3)
                        FROM 1 FOR 6),
                    52, 1),
                53, 1),
            'hex')::uuid,
        c.state_changed_at,
        CASE c.state
            WHEN 'RUNNING' THEN 'task_start' WHEN 'CANCELLED' THEN 'decision' ELSE 'task_end'
        END,
        c.namespace, c.run_id, c.id, 'conductor',
        CASE c.state WHEN 'FAILED' THEN 'error' ELSE 'info' END,
        CASE WHEN c.state IN ('SUCCEEDED', 'FAILED') AND c.started_at IS NOT NULL THEN
            greatest(0, extract(epoch FROM c.state_changed_at - c.started_at) * 1000)::float8
        END,
        CASE c.state
            WHEN 'RUNNING' THEN jsonb_build_object(
                'title', c.name, 'priority', c.priority, 'attempt', c.attempt)
            WHEN 'CANCELLED' THEN jsonb_build_object(
                'decision', 'task_cancelled', 'status', 'cancelled', 'title', c.name)
            ELSE jsonb_build_object('success', c.state = 'SUCCEEDED', 'attempt', c.attempt)
        END
    FROM changed c
    WHERE c.state <> 'PENDING'
)

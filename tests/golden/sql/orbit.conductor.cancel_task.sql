WITH changed AS (UPDATE orbit_conductortask t
SET state = 'CANCELLED', ready = false, lease_token = NULL, lease_expires_at = NULL, finished_at = clock_timestamp()
WHERE t.id = %(id)s
AND t.state IN ('FAILED', 'PENDING', 'RUNNING')
RETURNING t.id, t.run_id, t.namespace, t.name, t.priority, t.state, t.started_at), events AS (INSERT INTO telemetry_outboxevent (id, occurred_at, name, namespace, session_id, task_id, level, duration_ms, metadata)
SELECT encode(overlay(uuid_send(gen_random_uuid()) PLACING int8send((m.us / 1000 << 16) | x'7000'::bigint | mod(m.us, 1000) * 4)
FROM 1 FOR 8), 'hex')::uuid, m.at, CASE c.state WHEN 'RUNNING' THEN 'task_start' WHEN 'CANCELLED' THEN 'decision' ELSE 'task_end' END, c.namespace, c.run_id, c.id, CASE c.state WHEN 'FAILED' THEN 'error' ELSE 'info' END, CASE WHEN c.state IN ('SUCCEEDED', 'FAILED') THEN greatest(0, extract(epoch
FROM m.at - c.started_at) * 1000)::float8 END, CASE c.state WHEN 'RUNNING' THEN jsonb_build_object('title', c.name, 'priority', c.priority) WHEN 'CANCELLED' THEN jsonb_build_object('status', 'cancelled') ELSE jsonb_build_object('success', c.state = 'SUCCEEDED') END
FROM changed c CROSS
JOIN LATERAL (SELECT n.at, (extract(epoch
FROM n.at) * 1000000)::bigint AS us
FROM (SELECT clock_timestamp() AS at, c.id OFFSET 0) AS n OFFSET 0) AS m), cascade AS (UPDATE orbit_conductorparent p
SET is_cancelling = true, cancelled_up_to = 0
WHERE p.task_id IN (SELECT c.id
FROM changed c))
SELECT c.id
FROM changed c

WITH complete AS (UPDATE orbit_conductorparent p
SET is_fanned_out = true
FROM orbit_conductortask t
WHERE p.task_id = ANY(%(parents)s::text[])
AND p.fanned_out = p.fanout
AND t.id = p.task_id
AND t.state = 'PENDING'
RETURNING p.task_id), changed AS (UPDATE orbit_conductortask t
SET state = 'RUNNING', started_at = statement_timestamp()
WHERE t.id IN (SELECT task_id
FROM complete)
AND t.state = 'PENDING'
RETURNING t.*), events AS (INSERT INTO telemetry_outboxevent (id, occurred_at, name, namespace, session_id, task_id, stage, level, duration_ms, metadata)
SELECT encode(overlay(uuid_send(gen_random_uuid()) PLACING int8send((c.us / 1000 << 16) | x'7000'::bigint | mod(c.us, 1000) * 4)
FROM 1 FOR 8), 'hex')::uuid, c.state_changed_at, CASE c.state WHEN 'RUNNING' THEN 'task_start' WHEN 'CANCELLED' THEN 'decision' ELSE 'task_end' END, c.namespace, c.run_id, c.id, 'orbit-conductor', CASE c.state WHEN 'FAILED' THEN 'error' ELSE 'info' END, CASE WHEN c.state IN ('SUCCEEDED', 'FAILED') THEN greatest(0, extract(epoch
FROM c.state_changed_at - c.started_at) * 1000)::float8 END, CASE c.state WHEN 'RUNNING' THEN jsonb_build_object('title', c.name, 'priority', c.priority) WHEN 'CANCELLED' THEN jsonb_build_object('status', 'cancelled') ELSE jsonb_build_object('success', c.state = 'SUCCEEDED') END
FROM (SELECT *, (extract(epoch
FROM state_changed_at) * 1000000)::bigint AS us
FROM changed) AS c)
SELECT count(*)::int
FROM changed

WITH RECURSIVE ancestors AS (SELECT t.id, t.parent_id, t.state
FROM orbit_conductortask t
WHERE t.id = %(parent_id)s
UNION ALL
SELECT t.id, t.parent_id, t.state
FROM ancestors a
JOIN orbit_conductortask t ON t.id = a.parent_id), locked AS MATERIALIZED (SELECT t.id, t.state
FROM orbit_conductortask t
WHERE t.id IN (SELECT id
FROM ancestors)
ORDER BY t.id
FOR NO KEY
UPDATE), changed AS (UPDATE orbit_conductortask t
SET state = 'RUNNING', finished_at = NULL, error = NULL
WHERE t.id IN (SELECT id
FROM locked
WHERE state = 'FAILED')
RETURNING t.*), events AS (INSERT INTO telemetry_outboxevent (id, occurred_at, name, namespace, session_id, task_id, level, duration_ms, metadata)
SELECT encode(overlay(uuid_send(gen_random_uuid()) PLACING int8send((m.us / 1000 << 16) | x'7000'::bigint | mod(m.us, 1000) * 4)
FROM 1 FOR 8), 'hex')::uuid, m.at, CASE c.state WHEN 'RUNNING' THEN 'task_start' WHEN 'CANCELLED' THEN 'decision' ELSE 'task_end' END, c.namespace, c.run_id, c.id, CASE c.state WHEN 'FAILED' THEN 'error' ELSE 'info' END, CASE WHEN c.state IN ('SUCCEEDED', 'FAILED') THEN greatest(0, extract(epoch
FROM m.at - c.started_at) * 1000)::float8 END, CASE c.state WHEN 'RUNNING' THEN jsonb_build_object('title', c.name, 'priority', c.priority) WHEN 'CANCELLED' THEN jsonb_build_object('status', 'cancelled') ELSE jsonb_build_object('success', c.state = 'SUCCEEDED') END
FROM changed c CROSS
JOIN LATERAL (SELECT n.at, (extract(epoch
FROM n.at) * 1000000)::bigint AS us
FROM (SELECT clock_timestamp() AS at, c.id OFFSET 0) AS n OFFSET 0) AS m), not_cancelling AS (UPDATE orbit_conductorparent p
SET is_cancelling = false
WHERE p.task_id IN (SELECT id
FROM changed)
AND p.is_cancelling)
SELECT id, state
FROM locked

WITH RECURSIVE ancestors AS (SELECT t.id, t.parent_id
FROM orbit_conductortask t
WHERE t.id = %(parent_id)s
UNION ALL
SELECT t.id, t.parent_id
FROM ancestors a
JOIN orbit_conductortask t ON t.id = a.parent_id), locked AS MATERIALIZED (SELECT t.id, t.run_id, t.state
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
RETURNING t.*), events AS (INSERT INTO telemetry_outboxevent (id, occurred_at, name, namespace, session_id, task_id, stage, level, duration_ms, metadata)
SELECT encode(overlay(uuid_send(gen_random_uuid()) PLACING int8send((c.us / 1000 << 16) | x'7000'::bigint | mod(c.us, 1000) * 4)
FROM 1 FOR 8), 'hex')::uuid, c.state_changed_at, CASE c.state WHEN 'RUNNING' THEN 'task_start' WHEN 'CANCELLED' THEN 'decision' ELSE 'task_end' END, c.namespace, c.run_id, c.id, 'orbit-conductor', CASE c.state WHEN 'FAILED' THEN 'error' ELSE 'info' END, CASE WHEN c.state IN ('SUCCEEDED', 'FAILED') THEN greatest(0, extract(epoch
FROM c.state_changed_at - c.started_at) * 1000)::float8 END, CASE c.state WHEN 'RUNNING' THEN jsonb_build_object('title', c.name, 'priority', c.priority) WHEN 'CANCELLED' THEN jsonb_build_object('status', 'cancelled') ELSE jsonb_build_object('success', c.state = 'SUCCEEDED') END
FROM (SELECT *, (extract(epoch
FROM state_changed_at) * 1000000)::bigint AS us
FROM changed) AS c), go_on AS (UPDATE orbit_conductorparent p
SET is_cancelling = false, is_fanned_out = p.is_fanned_out
AND (p.fanout IS NULL
OR p.fanned_out >= p.fanout
OR p.cancelled > 0)
WHERE p.task_id IN (SELECT id
FROM changed))
SELECT l.id, l.state, p.failed + (SELECT coalesce(sum(w.failed), 0)::int
FROM orbit_conductortally w
WHERE w.run_id = l.run_id
AND w.parent_id = l.id), CASE p.failure_policy WHEN 'fail_fast' THEN 0 WHEN 'tolerate' THEN p.tolerated END
FROM locked l
JOIN orbit_conductorparent p ON p.task_id = l.id

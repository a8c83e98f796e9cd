WITH next AS MATERIALIZED (SELECT t.id, t.index, t.ready, t.is_parent
FROM orbit_conductortask t
WHERE t.parent_id = %(id)s
AND t.state = 'FAILED'
AND t.index > %(up_to)s
AND (SELECT p.state = 'RUNNING'
FROM orbit_conductortask p
WHERE p.id = %(id)s)
ORDER BY t.index
LIMIT %(tasks)s), failed AS MATERIALIZED (SELECT n.id, n.index
FROM next n
WHERE NOT n.ready
AND (NOT n.is_parent
OR (SELECT p.fanout IS NOT NULL
FROM orbit_conductorparent p
WHERE p.task_id = n.id))), locked AS MATERIALIZED (SELECT t.id
FROM orbit_conductortask t
WHERE t.id IN (SELECT id
FROM failed)
AND t.state = 'FAILED'
AND NOT t.ready
FOR NO KEY
UPDATE SKIP LOCKED), retried AS (UPDATE orbit_conductortask t
SET state = CASE WHEN t.is_parent THEN 'RUNNING' ELSE 'FAILED' END, ready = NOT t.is_parent, error = CASE WHEN NOT t.is_parent THEN t.error END, max_attempts = greatest(t.max_attempts, t.attempt + 1), finished_at = NULL
WHERE t.id IN (SELECT id
FROM locked)
RETURNING t.*), changed AS (SELECT *
FROM retried
WHERE is_parent), events AS (INSERT INTO telemetry_outboxevent (id, occurred_at, name, namespace, session_id, task_id, stage, level, duration_ms, metadata)
SELECT encode(overlay(uuid_send(gen_random_uuid()) PLACING int8send((c.us / 1000 << 16) | x'7000'::bigint | mod(c.us, 1000) * 4)
FROM 1 FOR 8), 'hex')::uuid, c.state_changed_at, CASE c.state WHEN 'RUNNING' THEN 'task_start' WHEN 'CANCELLED' THEN 'decision' ELSE 'task_end' END, c.namespace, c.run_id, c.id, 'orbit-conductor', CASE c.state WHEN 'FAILED' THEN 'error' ELSE 'info' END, CASE WHEN c.state IN ('SUCCEEDED', 'FAILED') THEN greatest(0, extract(epoch
FROM c.state_changed_at - c.started_at) * 1000)::float8 END, CASE c.state WHEN 'RUNNING' THEN jsonb_build_object('title', c.name, 'priority', c.priority) WHEN 'CANCELLED' THEN jsonb_build_object('status', 'cancelled') ELSE jsonb_build_object('success', c.state = 'SUCCEEDED') END
FROM (SELECT *, (extract(epoch
FROM state_changed_at) * 1000000)::bigint AS us
FROM changed) AS c), below AS (UPDATE orbit_conductorparent p
SET is_cancelling = false, is_fanned_out = p.is_fanned_out
AND (p.fanout IS NULL
OR p.fanned_out >= p.fanout
OR p.cancelled > 0), is_retrying = true, retried_up_to = 0
WHERE p.task_id IN (SELECT id
FROM changed))
SELECT coalesce((SELECT min(f.index) - 1
FROM failed f
WHERE f.id NOT IN (SELECT id
FROM locked)), (SELECT max(n.index)
FROM next n), %(up_to)s), (SELECT count(*)::int
FROM retried), (SELECT count(*)
FROM next) < %(tasks)s
AND (SELECT count(*)
FROM failed) = (SELECT count(*)
FROM locked), ARRAY(SELECT id
FROM changed
ORDER BY index)

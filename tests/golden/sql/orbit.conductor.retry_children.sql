WITH RECURSIVE failed AS MATERIALIZED (SELECT t.id, t.parent_id, t.is_parent
FROM orbit_conductortask t
WHERE t.run_id = %(run_id)s
AND t.state = 'FAILED'
AND NOT t.ready), below AS (SELECT f.*
FROM failed f
WHERE f.parent_id = %(id)s
UNION ALL
SELECT f.*
FROM failed f
JOIN below b ON f.parent_id = b.id), retried AS (SELECT b.*
FROM below b
WHERE NOT b.is_parent
UNION
SELECT b.*
FROM below b
JOIN retried r ON r.parent_id = b.id), locked AS MATERIALIZED (SELECT t.id, t.is_parent
FROM orbit_conductortask t
WHERE t.id IN (SELECT r.id
FROM retried r)
AND t.state = 'FAILED'
AND NOT t.ready
ORDER BY t.id
FOR NO KEY
UPDATE), resumed AS (UPDATE orbit_conductorparent p
SET is_cancelling = false
WHERE p.task_id IN (SELECT l.id
FROM locked l
WHERE l.is_parent)
AND p.is_cancelling), children AS (UPDATE orbit_conductortask t
SET state = CASE WHEN t.is_parent THEN 'RUNNING' ELSE 'FAILED' END, ready = NOT t.is_parent, error = CASE WHEN NOT t.is_parent THEN t.error END, max_attempts = CASE WHEN t.is_parent THEN t.max_attempts ELSE greatest(t.max_attempts, t.attempt + 1) END, finished_at = NULL
FROM locked l
WHERE l.id = t.id
RETURNING t.*), changed AS (SELECT c.*
FROM children c
WHERE c.is_parent), events AS (INSERT INTO telemetry_outboxevent (id, occurred_at, name, namespace, session_id, task_id, stage, level, duration_ms, metadata)
SELECT encode(overlay(uuid_send(gen_random_uuid()) PLACING int8send((c.us / 1000 << 16) | x'7000'::bigint | mod(c.us, 1000) * 4)
FROM 1 FOR 8), 'hex')::uuid, c.state_changed_at, CASE c.state WHEN 'RUNNING' THEN 'task_start' WHEN 'CANCELLED' THEN 'decision' ELSE 'task_end' END, c.namespace, c.run_id, c.id, 'orbit-conductor', CASE c.state WHEN 'FAILED' THEN 'error' ELSE 'info' END, CASE WHEN c.state IN ('SUCCEEDED', 'FAILED') THEN greatest(0, extract(epoch
FROM c.state_changed_at - c.started_at) * 1000)::float8 END, CASE c.state WHEN 'RUNNING' THEN jsonb_build_object('title', c.name, 'priority', c.priority) WHEN 'CANCELLED' THEN jsonb_build_object('status', 'cancelled') ELSE jsonb_build_object('success', c.state = 'SUCCEEDED') END
FROM (SELECT *, (extract(epoch
FROM state_changed_at) * 1000000)::bigint AS us
FROM changed) AS c)
SELECT count(*) FILTER (WHERE NOT c.is_parent)
FROM children c

WITH next AS MATERIALIZED (SELECT t.id, t.index, t.state, t.ready
FROM orbit_conductortask t
WHERE t.parent_id = %(id)s
AND t.index > %(up_to)s
ORDER BY t.index
LIMIT %(tasks)s), open AS MATERIALIZED (SELECT n.id, n.index
FROM next n
WHERE n.state IN ('PENDING', 'RUNNING')
OR n.state = 'FAILED'
AND n.ready), locked AS MATERIALIZED (SELECT t.id
FROM orbit_conductortask t
WHERE t.id IN (SELECT id
FROM open)
AND (t.state IN ('PENDING', 'RUNNING')
OR t.state = 'FAILED'
AND t.ready)
FOR NO KEY
UPDATE SKIP LOCKED), changed AS (UPDATE orbit_conductortask t
SET state = 'CANCELLED', ready = false, lease_token = NULL, lease_expires_at = NULL, finished_at = statement_timestamp()
WHERE t.id IN (SELECT id
FROM locked)
RETURNING t.*), events AS (INSERT INTO telemetry_outboxevent (id, occurred_at, name, namespace, session_id, task_id, level, duration_ms, metadata)
SELECT encode(overlay(uuid_send(gen_random_uuid()) PLACING int8send((m.us / 1000 << 16) | x'7000'::bigint | mod(m.us, 1000) * 4)
FROM 1 FOR 8), 'hex')::uuid, m.at, CASE c.state WHEN 'RUNNING' THEN 'task_start' WHEN 'CANCELLED' THEN 'decision' ELSE 'task_end' END, c.namespace, c.run_id, c.id, CASE c.state WHEN 'FAILED' THEN 'error' ELSE 'info' END, CASE WHEN c.state IN ('SUCCEEDED', 'FAILED') THEN greatest(0, extract(epoch
FROM m.at - c.started_at) * 1000)::float8 END, CASE c.state WHEN 'RUNNING' THEN jsonb_build_object('title', c.name, 'priority', c.priority) WHEN 'CANCELLED' THEN jsonb_build_object('status', 'cancelled') ELSE jsonb_build_object('success', c.state = 'SUCCEEDED') END
FROM changed c CROSS
JOIN LATERAL (SELECT n.at, (extract(epoch
FROM n.at) * 1000000)::bigint AS us
FROM (SELECT clock_timestamp() AS at, c.id OFFSET 0) AS n OFFSET 0) AS m)
SELECT coalesce((SELECT min(o.index) - 1
FROM open o
WHERE o.id NOT IN (SELECT id
FROM locked)), (SELECT max(n.index)
FROM next n), %(up_to)s), (SELECT count(*)::int
FROM changed), (SELECT count(*)
FROM next) < %(tasks)s
AND (SELECT count(*)
FROM open) = (SELECT count(*)
FROM locked)

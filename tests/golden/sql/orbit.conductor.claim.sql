WITH RECURSIVE waiting(namespace) AS ((SELECT t.namespace
FROM orbit_conductortask t
WHERE t.ready
ORDER BY t.namespace
LIMIT 1)
UNION ALL
SELECT (SELECT t.namespace
FROM orbit_conductortask t
WHERE t.ready
AND t.namespace > w.namespace
ORDER BY t.namespace
LIMIT 1)
FROM waiting w
WHERE w.namespace IS NOT NULL), turns AS MATERIALIZED (SELECT w.namespace, random() AS turn, count(*) OVER () AS namespaces
FROM waiting w
WHERE w.namespace IS NOT NULL
AND (%(namespaces)s::text[] IS NULL
OR w.namespace = ANY(%(namespaces)s::text[]))
AND NOT EXISTS (SELECT 1
FROM governance_governancesetting s
JOIN governance_namespace n ON n.id = s.namespace_id
WHERE n.name = w.namespace
AND s.mode <> 'running'
AND (s.until IS NULL
OR s.until > now()))
AND NOT EXISTS (SELECT 1
FROM governance_stop p
WHERE p.namespace_id IS NULL
AND p.kind = 'pause'
AND p.ended_at IS NULL
AND (p.until IS NULL
OR p.until > now()))), shares AS MATERIALIZED (SELECT t.*
FROM (SELECT *
FROM turns
ORDER BY turn) AS n CROSS
JOIN LATERAL (SELECT t.id, t.run_id, t.parent_id, t.index, t.priority, t.state, t.started_at, t.input
FROM orbit_conductortask t
WHERE t.ready
AND t.namespace = n.namespace
ORDER BY t.priority DESC, t.id
LIMIT greatest(1, %(most)s::int / n.namespaces)
FOR NO KEY
UPDATE SKIP LOCKED) AS t
LIMIT %(most)s::int), picked AS MATERIALIZED (SELECT *
FROM shares
UNION ALL (SELECT t.*
FROM (SELECT *
FROM turns
WHERE namespaces > 1
ORDER BY turn) AS n CROSS
JOIN LATERAL (SELECT t.id, t.run_id, t.parent_id, t.index, t.priority, t.state, t.started_at, t.input
FROM orbit_conductortask t
WHERE t.ready
AND t.namespace = n.namespace
AND t.id NOT IN (SELECT s.id
FROM shares s)
ORDER BY t.priority DESC, t.id
LIMIT %(most)s::int
FOR NO KEY
UPDATE SKIP LOCKED) AS t
LIMIT %(most)s::int - (SELECT count(*)
FROM shares))), parents AS MATERIALIZED (SELECT d.id, p.input, p.state IN ('SUCCEEDED', 'FAILED', 'CANCELLED')
OR c.is_cancelling AS is_over
FROM (SELECT DISTINCT k.parent_id AS id
FROM picked k
WHERE k.parent_id IS NOT NULL) AS d CROSS
JOIN LATERAL (SELECT t.state, t.input
FROM orbit_conductortask t
WHERE t.id = d.id
LIMIT 1) AS p CROSS
JOIN LATERAL (SELECT x.is_cancelling
FROM orbit_conductorparent x
WHERE x.task_id = d.id
LIMIT 1) AS c), runs AS MATERIALIZED (SELECT d.id, r.namespace, r.state = 'PENDING' AS is_new, r.state IN ('SUCCEEDED', 'FAILED', 'CANCELLED')
OR r.cancel_requested_at IS NOT NULL AS is_over
FROM (SELECT DISTINCT k.run_id AS id
FROM picked k) AS d CROSS
JOIN LATERAL (SELECT x.namespace, x.state, x.cancel_requested_at
FROM orbit_conductorrun x
WHERE x.id = d.id
LIMIT 1) AS r), seen AS MATERIALIZED (SELECT k.*, r.namespace, coalesce(p.is_over, false)
OR r.is_over AS is_over
FROM picked k
JOIN runs r ON r.id = k.run_id
LEFT
JOIN parents p ON p.id = k.parent_id), chosen AS (SELECT n.*
FROM (SELECT m.*, row_number() OVER (PARTITION BY m.namespace
ORDER BY m.priority DESC, m.id) AS place
FROM seen m
WHERE NOT m.is_over) AS n
ORDER BY n.place, random()
LIMIT %(give)s::int), taken AS MATERIALIZED (SELECT m.*, sum(octet_length(m.input)) OVER (ORDER BY m.priority DESC, m.id) - octet_length(m.input) AS before
FROM (SELECT k.id, k.priority, k.state, coalesce(k.input, (CASE jsonb_typeof(p.input -> 'child') WHEN 'object' THEN p.input -> 'child' ELSE p.input - 'fanout' END || jsonb_build_object('index', k.index)), '{}')::text AS input
FROM chosen k
LEFT
JOIN parents p ON p.id = k.parent_id) AS m), started AS (UPDATE orbit_conductortask t
SET state = 'RUNNING', ready = false, attempt = t.attempt + 1, lease_token = gen_random_uuid(), lease_seconds = %(lease_seconds)s::int, lease_expires_at = clock_timestamp() + make_interval(secs => %(lease_seconds)s::int), worker = %(worker)s, started_at = CASE WHEN t.state = 'RUNNING' THEN t.started_at ELSE clock_timestamp() END, finished_at = NULL
WHERE t.id = ANY(ARRAY(SELECT k.id
FROM taken k
WHERE k.before < %(largest)s))
RETURNING t.id, t.run_id, t.namespace, t.name, t.priority, t.state, t.started_at, t.attempt, t.state_changed_at, t.lease_token, t.lease_expires_at), dropped AS (UPDATE orbit_conductortask t
SET state = 'CANCELLED', ready = false, lease_token = NULL, finished_at = clock_timestamp()
WHERE t.id = ANY(ARRAY(SELECT k.id
FROM seen k
WHERE k.is_over))
RETURNING t.id, t.run_id, t.namespace, t.name, t.priority, t.state, t.started_at, t.state_changed_at), changed AS (SELECT s.id, s.run_id, s.namespace, s.name, s.priority, s.state, s.started_at, s.state_changed_at
FROM started s
JOIN taken k ON k.id = s.id
WHERE k.state <> 'RUNNING'
UNION ALL
SELECT *
FROM dropped), events AS (INSERT INTO telemetry_outboxevent (id, occurred_at, name, namespace, session_id, task_id, stage, level, duration_ms, metadata)
SELECT encode(overlay(uuid_send(gen_random_uuid()) PLACING int8send((c.us / 1000 << 16) | x'7000'::bigint | mod(c.us, 1000) * 4)
FROM 1 FOR 8), 'hex')::uuid, c.state_changed_at, CASE c.state WHEN 'RUNNING' THEN 'task_start' WHEN 'CANCELLED' THEN 'decision' ELSE 'task_end' END, c.namespace, c.run_id, c.id, 'orbit-conductor', CASE c.state WHEN 'FAILED' THEN 'error' ELSE 'info' END, CASE WHEN c.state IN ('SUCCEEDED', 'FAILED') THEN greatest(0, extract(epoch
FROM c.state_changed_at - c.started_at) * 1000)::float8 END, CASE c.state WHEN 'RUNNING' THEN jsonb_build_object('title', c.name, 'priority', c.priority) WHEN 'CANCELLED' THEN jsonb_build_object('status', 'cancelled') ELSE jsonb_build_object('success', c.state = 'SUCCEEDED') END
FROM (SELECT *, (extract(epoch
FROM state_changed_at) * 1000000)::bigint AS us
FROM changed) AS c), begun AS (UPDATE orbit_conductorrun r
SET state = 'RUNNING', started_at = coalesce(r.started_at, clock_timestamp())
WHERE r.id = ANY(ARRAY(SELECT x.id
FROM orbit_conductorrun x
WHERE x.id = ANY(ARRAY(SELECT d.id
FROM runs d
JOIN started s ON s.run_id = d.id
WHERE d.is_new))
AND x.state = 'PENDING'
ORDER BY x.id
FOR NO KEY
UPDATE SKIP LOCKED)))
SELECT n.dropped, n.expired, s.id, s.run_id, s.name, s.namespace, s.priority, s.attempt, k.input, s.lease_token, s.lease_expires_at
FROM (SELECT (SELECT count(*)
FROM dropped) AS dropped, (SELECT true
FROM orbit_conductortask t
WHERE t.lease_expires_at <= now()
ORDER BY t.lease_expires_at
LIMIT 1) IS NOT NULL AS expired) AS n
LEFT
JOIN (started s
JOIN taken k ON k.id = s.id) ON true
ORDER BY s.priority DESC, s.id

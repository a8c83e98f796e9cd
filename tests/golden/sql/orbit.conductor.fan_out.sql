WITH parents AS MATERIALIZED (SELECT t.id, t.run_id, t.namespace, t.name, t.state, t.priority, t.max_attempts, p.failure_policy, p.tolerated, p.fanout, p.fanned_out, CASE WHEN jsonb_typeof(t.input -> 'child') = 'object'
AND t.input -> 'child' ? 'fanout' THEN t.input -> 'child' END AS child
FROM orbit_conductorparent p
JOIN orbit_conductortask t ON t.id = p.task_id
WHERE p.fanout IS NOT NULL
AND NOT p.is_fanned_out
AND NOT p.is_cancelling
AND t.state IN ('PENDING', 'RUNNING')
AND NOT EXISTS (SELECT
FROM orbit_conductorrun r
WHERE r.id = t.run_id
AND r.cancel_requested_at IS NOT NULL)
AND NOT EXISTS (SELECT 1
FROM governance_governancesetting s
JOIN governance_namespace n ON n.id = s.namespace_id
WHERE n.name = t.namespace
AND s.mode <> 'running'
AND (s.until IS NULL
OR s.until > now()))
AND NOT EXISTS (SELECT 1
FROM governance_stop p
WHERE p.namespace_id IS NULL
AND p.kind = 'pause'
AND p.ended_at IS NULL
AND (p.until IS NULL
OR p.until > now()))
ORDER BY p.task_id
LIMIT %(max_parents)s
FOR NO KEY
UPDATE OF p, t SKIP LOCKED), shares AS MATERIALIZED (SELECT x.*, least(x.fanout - x.fanned_out, %(max_fanout)s - x.before)::int AS number, CASE WHEN jsonb_typeof(x.child -> 'fanout') = 'number' THEN CASE WHEN (x.child -> 'fanout')::numeric BETWEEN 1
AND 10000000
AND (x.child -> 'fanout')::numeric = trunc((x.child -> 'fanout')::numeric) THEN (x.child -> 'fanout')::int END END AS child_fanout
FROM (SELECT q.*, coalesce(sum(q.fanout - q.fanned_out) OVER (ORDER BY q.id ROWS BETWEEN UNBOUNDED PRECEDING
AND 1 PRECEDING), 0) AS before
FROM parents q) x
WHERE x.before < %(max_fanout)s), children AS (INSERT INTO orbit_conductortask (id, run_id, parent_id, index, namespace, name, state, is_parent, ready, priority, max_attempts, input)
SELECT %(prefix)s || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', (g.number >> 20 & 31) + 1, 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', (g.number >> 15 & 31) + 1, 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', (g.number >> 10 & 31) + 1, 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', (g.number >> 5 & 31) + 1, 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', (g.number & 31) + 1, 1), s.run_id, s.id, g.index, s.namespace, s.name || '#' || g.index, 'PENDING', s.child IS NOT NULL, s.child IS NULL, s.priority, s.max_attempts, CASE WHEN s.child IS NOT NULL THEN s.child || jsonb_build_object('index', g.index) END
FROM shares s CROSS
JOIN LATERAL (SELECT s.fanned_out + i AS index, s.before::int + i AS number
FROM generate_series(1, s.number) i) g
ON CONFLICT (parent_id, index)
WHERE parent_id IS NOT NULL DO NOTHING
RETURNING id, parent_id, is_parent), nested AS (INSERT INTO orbit_conductorparent (task_id, failure_policy, tolerated, fanout)
SELECT c.id, s.failure_policy, s.tolerated, s.child_fanout
FROM children c
JOIN shares s ON s.id = c.parent_id
WHERE c.is_parent), made AS MATERIALIZED (SELECT s.id, s.run_id, count(c.id)::int AS children
FROM shares s
LEFT
JOIN children c ON c.parent_id = s.id
GROUP BY s.id, s.run_id), counted AS (UPDATE orbit_conductorparent p
SET fanned_out = s.fanned_out + s.number, is_fanned_out = s.fanned_out + s.number = s.fanout, pending = p.pending + m.children
FROM shares s
JOIN made m ON m.id = s.id
WHERE p.task_id = s.id), changed AS (UPDATE orbit_conductortask t
SET state = 'RUNNING', started_at = statement_timestamp()
FROM shares s
WHERE t.id = s.id
AND s.state = 'PENDING'
RETURNING t.*), events AS (INSERT INTO telemetry_outboxevent (id, occurred_at, name, namespace, session_id, task_id, stage, level, duration_ms, metadata)
SELECT encode(overlay(uuid_send(gen_random_uuid()) PLACING int8send((c.us / 1000 << 16) | x'7000'::bigint | mod(c.us, 1000) * 4)
FROM 1 FOR 8), 'hex')::uuid, c.state_changed_at, CASE c.state WHEN 'RUNNING' THEN 'task_start' WHEN 'CANCELLED' THEN 'decision' ELSE 'task_end' END, c.namespace, c.run_id, c.id, 'orbit-conductor', CASE c.state WHEN 'FAILED' THEN 'error' ELSE 'info' END, CASE WHEN c.state IN ('SUCCEEDED', 'FAILED') THEN greatest(0, extract(epoch
FROM c.state_changed_at - c.started_at) * 1000)::float8 END, CASE c.state WHEN 'RUNNING' THEN jsonb_build_object('title', c.name, 'priority', c.priority) WHEN 'CANCELLED' THEN jsonb_build_object('status', 'cancelled') ELSE jsonb_build_object('success', c.state = 'SUCCEEDED') END
FROM (SELECT *, (extract(epoch
FROM state_changed_at) * 1000000)::bigint AS us
FROM changed) AS c), runs AS MATERIALIZED (SELECT r.id
FROM orbit_conductorrun r
WHERE r.id IN (SELECT run_id
FROM made)
ORDER BY r.id
FOR NO KEY
UPDATE), added AS (UPDATE orbit_conductorrun r
SET pending = r.pending + m.children
FROM runs
JOIN (SELECT run_id, sum(children) AS children
FROM made
GROUP BY run_id) m ON m.run_id = runs.id
WHERE r.id = runs.id)
SELECT s.id, s.name, m.children, s.fanned_out + s.number, s.fanout
FROM shares s
JOIN made m ON m.id = s.id
ORDER BY s.id

WITH RECURSIVE waiting(namespace) AS ((SELECT p.namespace
FROM orbit_conductorparent p
WHERE NOT p.is_fanned_out
AND NOT p.is_cancelling
ORDER BY p.namespace
LIMIT 1)
UNION ALL
SELECT (SELECT p.namespace
FROM orbit_conductorparent p
WHERE NOT p.is_fanned_out
AND NOT p.is_cancelling
AND p.namespace > w.namespace
ORDER BY p.namespace
LIMIT 1)
FROM waiting w
WHERE w.namespace IS NOT NULL), open AS MATERIALIZED (SELECT w.namespace, random() AS turn, count(*) OVER () AS namespaces
FROM waiting w
WHERE w.namespace IS NOT NULL
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
OR p.until > now()))), locked AS MATERIALIZED (SELECT l.*, r.cancel_requested_at IS NOT NULL
OR l.state NOT IN ('PENDING', 'RUNNING') AS is_over
FROM (SELECT *
FROM open
ORDER BY turn) o CROSS
JOIN LATERAL (SELECT t.id, t.run_id, t.namespace, t.name, t.state, t.priority, t.max_attempts, t.input, p.failure_policy, p.tolerated, p.fanout, p.fanned_out, p.fanned_out_at
FROM orbit_conductorparent p
JOIN orbit_conductortask t ON t.id = p.task_id
WHERE p.namespace = o.namespace
AND NOT p.is_fanned_out
AND NOT p.is_cancelling
ORDER BY p.fanned_out_at, p.task_id
LIMIT greatest(1, %(max_parents)s / o.namespaces)
FOR NO KEY
UPDATE OF p, t SKIP LOCKED) l
JOIN orbit_conductorrun r ON r.id = l.run_id
LIMIT %(max_parents)s), parents AS MATERIALIZED (SELECT l.*, l.fanout - l.fanned_out AS rest, CASE WHEN jsonb_typeof(l.input -> 'child') = 'object'
AND l.input -> 'child' ? 'fanout' THEN l.input -> 'child' END AS child, row_number() OVER (ORDER BY l.fanned_out_at, l.id) AS turn, greatest(1, %(max_fanout)s / count(*) OVER ()) AS quota
FROM locked l
WHERE NOT l.is_over
AND l.fanout IS NOT NULL), quotas AS MATERIALIZED (SELECT q.*, greatest(0, least(q.wanted, %(max_fanout)s - (sum(q.wanted) OVER by_turn - q.wanted))) AS first
FROM (SELECT p.*, least(p.rest, p.quota) AS wanted
FROM parents p) q WINDOW by_turn AS (ORDER BY q.turn)), shares AS MATERIALIZED (SELECT y.*, sum(y.number) OVER (ORDER BY y.turn) - y.number AS before, CASE WHEN jsonb_typeof(y.child -> 'fanout') = 'number' THEN CASE WHEN (y.child -> 'fanout')::numeric BETWEEN 1
AND 10000000
AND (y.child -> 'fanout')::numeric = trunc((y.child -> 'fanout')::numeric) THEN (y.child -> 'fanout')::int END END AS child_fanout
FROM (SELECT x.*, (x.first + greatest(0, least(x.rest - x.first, x.spare - x.more_before)))::int AS number
FROM (SELECT q.*, %(max_fanout)s - sum(q.first) OVER () AS spare, sum(q.rest - q.first) OVER (ORDER BY q.turn) - (q.rest - q.first) AS more_before
FROM quotas q) x) y
WHERE y.number > 0), children AS (INSERT INTO orbit_conductortask (id, run_id, parent_id, index, namespace, name, state, is_parent, ready, priority, max_attempts, input)
SELECT %(prefix)s || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', (g.number >> 20 & 31) + 1, 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', (g.number >> 15 & 31) + 1, 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', (g.number >> 10 & 31) + 1, 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', (g.number >> 5 & 31) + 1, 1) || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', (g.number & 31) + 1, 1), s.run_id, s.id, g.index, s.namespace, s.name || '#' || g.index, 'PENDING', s.child IS NOT NULL, s.child IS NULL, s.priority, s.max_attempts, CASE WHEN s.child IS NOT NULL THEN s.child || jsonb_build_object('index', g.index) END
FROM shares s CROSS
JOIN LATERAL (SELECT s.fanned_out + i AS index, s.before::int + i AS number
FROM generate_series(1, s.number) i) g
ON CONFLICT (parent_id, index)
WHERE parent_id IS NOT NULL DO NOTHING
RETURNING id, parent_id, is_parent), nested AS (INSERT INTO orbit_conductorparent (task_id, namespace, failure_policy, tolerated, fanout)
SELECT c.id, s.namespace, s.failure_policy, s.tolerated, s.child_fanout
FROM children c
JOIN shares s ON s.id = c.parent_id
WHERE c.is_parent), made AS MATERIALIZED (SELECT s.id, s.run_id, count(c.id)::int AS children
FROM shares s
LEFT
JOIN children c ON c.parent_id = s.id
GROUP BY s.id, s.run_id), counted AS (UPDATE orbit_conductorparent p
SET fanned_out = s.fanned_out + s.number, is_fanned_out = s.fanned_out + s.number = s.fanout, fanned_out_at = clock_timestamp()
FROM shares s
WHERE p.task_id = s.id), tallies AS (INSERT INTO orbit_conductortally (run_id, parent_id, pending)
SELECT m.run_id, m.id, m.children
FROM made m
WHERE m.children > 0), started AS (UPDATE orbit_conductortask t
SET state = 'RUNNING', started_at = statement_timestamp()
FROM shares s
WHERE t.id = s.id
AND s.state = 'PENDING'
RETURNING t.*), left_out AS (UPDATE orbit_conductorparent p
SET is_fanned_out = true
WHERE p.task_id = ANY(ARRAY(SELECT l.id
FROM locked l
WHERE l.is_over))), dropped AS (UPDATE orbit_conductortask t
SET state = 'CANCELLED', finished_at = statement_timestamp()
WHERE t.id = ANY(ARRAY(SELECT l.id
FROM locked l
WHERE l.is_over
AND l.state IN ('PENDING', 'RUNNING')))
RETURNING t.*), changed AS (SELECT *
FROM started
UNION ALL
SELECT *
FROM dropped), events AS (INSERT INTO telemetry_outboxevent (id, occurred_at, name, namespace, session_id, task_id, stage, level, duration_ms, metadata)
SELECT encode(overlay(uuid_send(gen_random_uuid()) PLACING int8send((c.us / 1000 << 16) | x'7000'::bigint | mod(c.us, 1000) * 4)
FROM 1 FOR 8), 'hex')::uuid, c.state_changed_at, CASE c.state WHEN 'RUNNING' THEN 'task_start' WHEN 'CANCELLED' THEN 'decision' ELSE 'task_end' END, c.namespace, c.run_id, c.id, 'orbit-conductor', CASE c.state WHEN 'FAILED' THEN 'error' ELSE 'info' END, CASE WHEN c.state IN ('SUCCEEDED', 'FAILED') THEN greatest(0, extract(epoch
FROM c.state_changed_at - c.started_at) * 1000)::float8 END, CASE c.state WHEN 'RUNNING' THEN jsonb_build_object('title', c.name, 'priority', c.priority) WHEN 'CANCELLED' THEN jsonb_build_object('status', 'cancelled') ELSE jsonb_build_object('success', c.state = 'SUCCEEDED') END
FROM (SELECT *, (extract(epoch
FROM state_changed_at) * 1000000)::bigint AS us
FROM changed) AS c)
SELECT l.id, l.name, coalesce(m.children, 0), l.fanned_out + coalesce(s.number, 0), l.fanout, CASE WHEN l.fanout IS NULL
AND NOT l.is_over THEN l.input END, l.is_over
FROM locked l
LEFT
JOIN shares s ON s.id = l.id
LEFT
JOIN made m ON m.id = l.id
ORDER BY l.fanned_out_at, l.id

WITH counted AS MATERIALIZED (SELECT p.task_id, t.run_id, p.is_fanned_out, p.failure_policy, p.failed, p.cancelled, p.pending + p.running + p.retrying AS open, p.pending + p.running + p.retrying + p.succeeded + p.failed + p.cancelled AS children, CASE p.failure_policy WHEN 'tolerate' THEN p.tolerated ELSE 0 END AS tolerated, CASE WHEN p.failed > 0
AND p.failure_policy <> 'wait_all' THEN (SELECT coalesce(sum(w.failed), 0)
FROM orbit_conductortally w
WHERE w.run_id = t.run_id
AND w.parent_id = p.task_id) ELSE 0 END AS failed_since
FROM orbit_conductorparent p
JOIN orbit_conductortask t ON t.id = p.task_id
WHERE p.task_id = ANY(%(parents)s::text[])
AND t.state = 'RUNNING'
AND NOT p.is_retrying), decided AS MATERIALIZED (SELECT c.task_id, c.open, c.failed, c.children, c.is_fanned_out, CASE WHEN c.failure_policy <> 'wait_all'
AND c.failed > c.tolerated
AND c.failed + c.failed_since > c.tolerated THEN 'FAILED' WHEN c.open <> 0
OR NOT c.is_fanned_out THEN NULL WHEN EXISTS (SELECT
FROM orbit_conductortally w
WHERE w.run_id = c.run_id
AND w.parent_id = c.task_id) THEN NULL WHEN c.failed > c.tolerated THEN 'FAILED' WHEN c.cancelled > 0 THEN 'CANCELLED' ELSE 'SUCCEEDED' END AS state
FROM counted c), changed AS (UPDATE orbit_conductortask t
SET state = d.state, finished_at = statement_timestamp(), error = CASE WHEN d.state = 'FAILED' THEN format('%s of its %s children failed.', d.failed, d.children) END
FROM decided d
WHERE t.id = d.task_id
AND d.state IS NOT NULL
AND t.state = 'RUNNING'
RETURNING t.*), events AS (INSERT INTO telemetry_outboxevent (id, occurred_at, name, namespace, session_id, task_id, stage, level, duration_ms, metadata)
SELECT encode(overlay(uuid_send(gen_random_uuid()) PLACING int8send((c.us / 1000 << 16) | x'7000'::bigint | mod(c.us, 1000) * 4)
FROM 1 FOR 8), 'hex')::uuid, c.state_changed_at, CASE c.state WHEN 'RUNNING' THEN 'task_start' WHEN 'CANCELLED' THEN 'decision' ELSE 'task_end' END, c.namespace, c.run_id, c.id, 'orbit-conductor', CASE c.state WHEN 'FAILED' THEN 'error' ELSE 'info' END, CASE WHEN c.state IN ('SUCCEEDED', 'FAILED') THEN greatest(0, extract(epoch
FROM c.state_changed_at - c.started_at) * 1000)::float8 END, CASE c.state WHEN 'RUNNING' THEN jsonb_build_object('title', c.name, 'priority', c.priority) WHEN 'CANCELLED' THEN jsonb_build_object('status', 'cancelled') ELSE jsonb_build_object('success', c.state = 'SUCCEEDED') END
FROM (SELECT *, (extract(epoch
FROM state_changed_at) * 1000000)::bigint AS us
FROM changed) AS c), cancel_the_others AS (UPDATE orbit_conductorparent p
SET is_cancelling = true, cancelled_up_to = 0
FROM decided d
WHERE p.task_id = d.task_id
AND p.task_id IN (SELECT id
FROM changed
WHERE state = 'FAILED')
AND (d.open <> 0
OR NOT d.is_fanned_out))
SELECT state, count(*)::int
FROM changed
GROUP BY state

WITH given AS MATERIALIZED (SELECT x.id, x.token, x.n
FROM unnest(%(ids)s::text[], %(tokens)s::uuid[]) WITH ORDINALITY AS x(id, token, n)), locked AS MATERIALIZED (SELECT t.id, t.state, t.is_parent, t.lease_token
FROM orbit_conductortask t
WHERE t.id = ANY(%(ids)s::text[])
AND (%(namespaces)s::text[] IS NULL
OR t.namespace = ANY(%(namespaces)s::text[]))
ORDER BY t.id
FOR NO KEY
UPDATE), changed AS (UPDATE orbit_conductortask t
SET state = 'FAILED', ready = t.attempt < t.max_attempts, error = %(error)s, lease_expires_at = NULL, finished_at = CASE WHEN t.attempt < t.max_attempts THEN NULL ELSE clock_timestamp() END
FROM given g
WHERE t.id = g.id
AND t.id = ANY(ARRAY(SELECT l.id
FROM locked l))
AND t.lease_token = g.token
AND t.state = 'RUNNING'
AND t.lease_expires_at > now()
RETURNING t.*), events AS (INSERT INTO telemetry_outboxevent (id, occurred_at, name, namespace, session_id, task_id, stage, level, duration_ms, metadata)
SELECT encode(overlay(uuid_send(gen_random_uuid()) PLACING int8send((c.us / 1000 << 16) | x'7000'::bigint | mod(c.us, 1000) * 4)
FROM 1 FOR 8), 'hex')::uuid, c.state_changed_at, CASE c.state WHEN 'RUNNING' THEN 'task_start' WHEN 'CANCELLED' THEN 'decision' ELSE 'task_end' END, c.namespace, c.run_id, c.id, 'orbit-conductor', CASE c.state WHEN 'FAILED' THEN 'error' ELSE 'info' END, CASE WHEN c.state IN ('SUCCEEDED', 'FAILED') THEN greatest(0, extract(epoch
FROM c.state_changed_at - c.started_at) * 1000)::float8 END, CASE c.state WHEN 'RUNNING' THEN jsonb_build_object('title', c.name, 'priority', c.priority) WHEN 'CANCELLED' THEN jsonb_build_object('status', 'cancelled') ELSE jsonb_build_object('success', c.state = 'SUCCEEDED') END
FROM (SELECT *, (extract(epoch
FROM state_changed_at) * 1000000)::bigint AS us
FROM changed) AS c)
SELECT g.id, c.id IS NOT NULL, coalesce(c.state, l.state), l.is_parent, NULL::timestamptz, l.state <> 'RUNNING'
AND l.lease_token = g.token
FROM given g
LEFT
JOIN locked l ON l.id = g.id
LEFT
JOIN changed c ON c.id = g.id
ORDER BY g.n

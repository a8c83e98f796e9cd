WITH locked AS MATERIALIZED (SELECT c.id, c.fencing_token AS token, c.namespace, c.requeues, c.status
FROM orbit_cyclerun c
JOIN unnest(%(ids)s::uuid[], %(tokens)s::bigint[]) AS lease(id, token) ON lease.id = c.id
AND lease.token = c.fencing_token
ORDER BY c.id
FOR NO KEY
UPDATE OF c), cancelled AS (UPDATE orbit_dispatchjob j
SET status = CASE WHEN j.requeue_of_id IS NOT NULL
AND (SELECT true
FROM orbit_deadletterdispatch l
WHERE l.requeued_job_id = j.id) THEN 'dead' ELSE 'cancelled' END, next_attempt_at = NULL, finished_at = clock_timestamp(), last_error = 'the cycle was given up'
FROM locked
WHERE j.cycle_id = locked.id
AND j.status IN ('pending', 'sending')
RETURNING j.id, j.status, j.cycle_id, j.endpoint_key), unknown AS (UPDATE orbit_deliveryreceipt r
SET status = 'unknown', finished_at = clock_timestamp(), error = 'the cycle was given up'
FROM cancelled
WHERE r.job_id = cancelled.id
AND r.status = 'sending'), finishes AS (UPDATE orbit_cyclerun c
SET status = coalesce(x.status, c.status), stages = coalesce(x.stages, c.stages), reason = coalesce(x.reason, c.reason), finished_at = coalesce(c.finished_at, clock_timestamp()), lease_owner = NULL, lease_expires_at = NULL, next_due_at = CASE WHEN c.requeues = x.requeues THEN clock_timestamp() + x.wait * interval '1 second' ELSE clock_timestamp() END
FROM jsonb_to_recordset(%(finishes)s::jsonb) AS x(cycle_id uuid, status text, stages jsonb, reason text, requeues int, wait float8)
JOIN locked ON locked.id = x.cycle_id
WHERE c.id = locked.id
RETURNING c.namespace, x.status IS NOT NULL
AND locked.status IN ('pending', 'running') AS ended), promotes AS (UPDATE orbit_cyclerun c
SET status = 'pending', next_due_at = clock_timestamp()
FROM finishes
JOIN LATERAL (SELECT q.id
FROM orbit_cyclerun q
WHERE q.namespace = finishes.namespace
AND q.status = 'queued'
AND NOT EXISTS (SELECT 1
FROM governance_governancesetting s
JOIN governance_namespace n ON n.id = s.namespace_id
WHERE n.name = finishes.namespace
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
ORDER BY q.id
LIMIT 1
FOR NO KEY
UPDATE OF q SKIP LOCKED) AS next ON finishes.ended
WHERE c.id = next.id), ledger AS (INSERT INTO orbit_valueledgerentry (id, cycle_id, namespace, profile_id, run_profile_id, kind, tag, quantity, unit)
SELECT x.id, x.cycle_id, x.namespace, x.profile_id, x.run_profile_id, x.kind, x.tag, coalesce(x.quantity, (SELECT count(*)
FROM orbit_dispatchjob j
WHERE j.cycle_id = x.cycle_id
AND j.status = 'delivered'
AND j.requeue_of_id IS NULL)), x.unit
FROM json_to_recordset(%(ledger)s::json) AS x(id uuid, cycle_id uuid, namespace text, profile_id text, run_profile_id text, kind text, tag text, quantity numeric, unit text)
JOIN locked ON locked.id = x.cycle_id
ON CONFLICT (cycle_id, kind, tag, unit) DO NOTHING), checkpoints AS (INSERT INTO orbit_cyclecheckpoint (cycle_id, stage, fencing_token)
SELECT x.cycle_id, x.stage, locked.token
FROM json_to_recordset(%(checkpoints)s::json) AS x(cycle_id uuid, stage text)
JOIN locked ON locked.id = x.cycle_id), records AS (INSERT INTO orbit_recordgroup (id, partition_key, cycle_id, level, namespace, stage, event, message, data, records)
SELECT x.id, x.cycle_id, x.cycle_id, x.level, x.namespace, x.stage, x.event, x.message, x.data, x.records
FROM jsonb_to_recordset(%(records)s::jsonb) AS x(id uuid, cycle_id uuid, level text, namespace text, stage text, event text, message text, data jsonb, records jsonb)
JOIN locked ON locked.id = x.cycle_id), events AS (INSERT INTO telemetry_telemetryevent (id, occurred_at, name, namespace, profile_id, run_id, stage, level, duration_ms, metadata)
SELECT x.id, clock_timestamp(), x.name, x.namespace, x.profile_id, x.run_id, x.stage, x.level, x.duration_ms, x.metadata
FROM jsonb_to_recordset(%(events)s::jsonb) AS x(id uuid, name text, namespace text, profile_id text, run_id uuid, stage text, level text, duration_ms float8, metadata jsonb)
JOIN locked ON locked.id = x.run_id)
SELECT locked.id, died.id, died.endpoint_key
FROM locked
LEFT
JOIN cancelled died ON died.cycle_id = locked.id
AND died.status = 'dead'

WITH locked AS MATERIALIZED (SELECT c.id, c.fencing_token AS token, c.namespace, c.requeues, c.status
FROM orbit_cyclerun c
JOIN unnest(%(ids)s::uuid[], %(tokens)s::bigint[]) AS lease(id, token) ON lease.id = c.id
AND lease.token = c.fencing_token
ORDER BY c.id
FOR NO KEY
UPDATE OF c), initiation AS (INSERT INTO orbit_initiation (id, initiation_hash, namespace, profile_id, run_profile_id, instruction_id)
SELECT x.id, x.initiation_hash, x.namespace, x.profile_id, x.run_profile_id, x.instruction_id
FROM json_to_recordset(%(initiations)s::json) AS x(cycle_id uuid, id uuid, initiation_hash text, namespace text, profile_id text, run_profile_id text, instruction_id text)
JOIN locked ON locked.id = x.cycle_id
ON CONFLICT (initiation_hash) DO
UPDATE
SET initiation_hash = EXCLUDED.initiation_hash
RETURNING id, initiation_hash, xmax = 0 AS created), initiated AS (SELECT x.cycle_id, i.initiation_hash, i.id, i.created
FROM initiation i
JOIN json_to_recordset(%(initiations)s::json) AS x(cycle_id uuid, initiation_hash text) USING (initiation_hash)), tiers AS (INSERT INTO orbit_transformation AS t (id, cycle_id, initiation_id, tier, transformer, status, attempts, next_attempt_at, output, output_is_input, output_content_type, output_sha256, error, started_at, finished_at)
SELECT x.id, x.cycle_id, initiated.id, x.tier, x.transformer, x.status, x.attempts, clock_timestamp() + x.wait * interval '1 second', (%(blobs)s::bytea[])[x.blob], x.is_input, x.content_type, x.sha256, x.error, clock_timestamp() - x.took * interval '1 second', CASE WHEN x.status <> 'pending' THEN clock_timestamp() END
FROM json_to_recordset(%(tiers)s::json) AS x(id uuid, cycle_id uuid, initiation_id uuid, tier int, transformer text, status text, attempts int, wait float8, blob int, is_input bool, content_type text, sha256 text, error text, took float8)
JOIN initiated ON initiated.cycle_id = x.cycle_id
ON CONFLICT (cycle_id, tier) DO
UPDATE
SET status = EXCLUDED.status, attempts = EXCLUDED.attempts, next_attempt_at = EXCLUDED.next_attempt_at, output = EXCLUDED.output, output_is_input = EXCLUDED.output_is_input, output_content_type = EXCLUDED.output_content_type, output_sha256 = EXCLUDED.output_sha256, error = EXCLUDED.error, finished_at = EXCLUDED.finished_at
WHERE t.status = 'pending'), batches AS (INSERT INTO orbit_normalizationbatch (id, cycle_id, processor, item_count)
SELECT x.id, x.cycle_id, x.processor, x.item_count
FROM json_to_recordset(%(batches)s::json) AS x(id uuid, cycle_id uuid, processor text, item_count int)
JOIN locked ON locked.id = x.cycle_id), items AS (INSERT INTO orbit_normalizationitem (id, batch_id, transformation_id, payload, content_type, sha256)
SELECT x.id, x.batch_id, x.transformation_id, (%(blobs)s::bytea[])[x.blob], x.content_type, x.sha256
FROM json_to_recordset(%(items)s::json) AS x(id uuid, cycle_id uuid, batch_id uuid, transformation_id uuid, blob int, content_type text, sha256 text)
JOIN locked ON locked.id = x.cycle_id), enqueued AS MATERIALIZED (SELECT x.id, x.cycle_id, x.item_id, x.endpoint_key, x.delivery_id, x.max_retries, x.sha256, s.id AS snapshot_id, s.state_id, locked.token, CASE WHEN NOT EXISTS (SELECT 1
FROM governance_governancesetting s
JOIN governance_namespace n ON n.id = s.namespace_id
WHERE n.name = locked.namespace
AND s.halt
AND (s.until IS NULL
OR s.until > now()))
AND NOT EXISTS (SELECT 1
FROM governance_stop p
WHERE p.namespace_id IS NULL
AND p.kind = 'pause'
AND p.ended_at IS NULL
AND (p.until IS NULL
OR p.until > now()))
AND (e.id IS NULL
OR NOT (e.max_concurrency IS NOT NULL
OR e.rate_per_second IS NOT NULL
OR e.opened_at IS NOT NULL
OR e.hold_until IS NOT NULL
AND e.hold_until > clock_timestamp())
AND NOT EXISTS (SELECT 1
FROM json_to_recordset(%(full)s::json) AS f(cycle_id uuid, state_id uuid)
WHERE f.cycle_id = x.cycle_id
AND f.state_id = e.id)) THEN x.receipt_id END AS receipt_id
FROM json_to_recordset(%(jobs)s::json) AS x(id uuid, cycle_id uuid, item_id uuid, endpoint_key text, fingerprint text, delivery_id uuid, max_retries int, receipt_id uuid, sha256 text)
JOIN locked ON locked.id = x.cycle_id
LEFT
JOIN orbit_endpointsnapshot s ON s.fingerprint = x.fingerprint
LEFT
JOIN orbit_endpointstate e ON e.id = s.state_id), jobs AS (INSERT INTO orbit_dispatchjob (id, cycle_id, normalization_item_id, endpoint_key, snapshot_id, delivery_id, max_retries, status, attempts, next_attempt_at)
SELECT x.id, x.cycle_id, x.item_id, x.endpoint_key, x.snapshot_id, x.delivery_id, x.max_retries, CASE WHEN x.receipt_id IS NULL THEN 'pending' ELSE 'sending' END, CASE WHEN x.receipt_id IS NULL THEN 0 ELSE 1 END, CASE WHEN x.receipt_id IS NULL THEN clock_timestamp() END
FROM enqueued x), begun AS (SELECT x.cycle_id, x.receipt_id, x.state_id
FROM enqueued x
WHERE x.receipt_id IS NOT NULL), receipts AS (INSERT INTO orbit_deliveryreceipt (id, job_id, attempt, status, worker, fencing_token, started_at, body_sha256)
SELECT x.receipt_id, x.id, 1, 'sending', %(worker)s, x.token, clock_timestamp(), x.sha256
FROM enqueued x
WHERE x.receipt_id IS NOT NULL), finishes AS (UPDATE orbit_cyclerun c
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
SELECT x.id, x.cycle_id, x.cycle_id, x.level, x.namespace, x.stage, x.event, x.message, x.data, CASE WHEN i.created
OR x.records #>> '{2, 1}' IS DISTINCT
FROM 'initiation_created' THEN x.records ELSE jsonb_set(x.records, '{2}', jsonb_build_array('initiation', 'initiation_reused', jsonb_build_object('initiation_id', i.id, 'initiation_hash', i.initiation_hash), 'the context is known')) END
FROM jsonb_to_recordset(%(records)s::jsonb) AS x(id uuid, cycle_id uuid, level text, namespace text, stage text, event text, message text, data jsonb, records jsonb)
JOIN initiated i ON i.cycle_id = x.cycle_id), events AS (INSERT INTO telemetry_telemetryevent (id, occurred_at, name, namespace, profile_id, run_id, stage, level, duration_ms, metadata)
SELECT x.id, clock_timestamp(), x.name, x.namespace, x.profile_id, x.run_id, x.stage, x.level, x.duration_ms, x.metadata
FROM jsonb_to_recordset(%(events)s::jsonb) AS x(id uuid, name text, namespace text, profile_id text, run_id uuid, stage text, level text, duration_ms float8, metadata jsonb)
JOIN locked ON locked.id = x.run_id)
SELECT locked.id, initiated.id, begun.receipt_id, begun.state_id
FROM locked
JOIN initiated ON initiated.cycle_id = locked.id
LEFT
JOIN begun ON begun.cycle_id = locked.id

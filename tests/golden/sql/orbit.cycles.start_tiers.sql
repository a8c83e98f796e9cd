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
WHERE t.status = 'pending'), checkpoints AS (INSERT INTO orbit_cyclecheckpoint (cycle_id, stage, fencing_token)
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
SELECT locked.id, initiated.id
FROM locked
JOIN initiated ON initiated.cycle_id = locked.id

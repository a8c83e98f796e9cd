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
RETURNING id, initiation_hash, xmax = 0 AS created), initiated AS (SELECT x.cycle_id, x.record_id, x.namespace, x.initiation_hash, i.id, i.created
FROM initiation i
JOIN json_to_recordset(%(initiations)s::json) AS x(cycle_id uuid, record_id uuid, namespace text, initiation_hash text) USING (initiation_hash)), initiation_records AS (INSERT INTO orbit_executionrecord (id, partition_key, cycle_id, stage, event, namespace, message, data)
SELECT record_id, cycle_id, cycle_id, 'initiation', CASE WHEN created THEN 'initiation_created' ELSE 'initiation_reused' END, namespace, CASE WHEN created THEN 'a new context' ELSE 'the context is known' END, jsonb_build_object('initiation_id', id, 'initiation_hash', initiation_hash)
FROM initiated), checkpoints AS (INSERT INTO orbit_cyclecheckpoint (cycle_id, stage, fencing_token)
SELECT x.cycle_id, x.stage, locked.token
FROM json_to_recordset(%(checkpoints)s::json) AS x(cycle_id uuid, stage text)
JOIN locked ON locked.id = x.cycle_id), records AS (INSERT INTO orbit_executionrecord (id, partition_key, cycle_id, stage, event, level, namespace, message, data)
SELECT x.id, x.cycle_id, x.cycle_id, x.stage, x.event, x.level, x.namespace, x.message, x.data
FROM jsonb_to_recordset(%(records)s::jsonb) AS x(id uuid, cycle_id uuid, stage text, event text, level text, namespace text, message text, data jsonb)
JOIN locked ON locked.id = x.cycle_id), events AS (INSERT INTO telemetry_telemetryevent (id, occurred_at, name, namespace, profile_id, run_id, stage, level, duration_ms, metadata)
SELECT x.id, clock_timestamp(), x.name, x.namespace, x.profile_id, x.run_id, x.stage, x.level, x.duration_ms, x.metadata
FROM jsonb_to_recordset(%(events)s::jsonb) AS x(id uuid, name text, namespace text, profile_id text, run_id uuid, stage text, level text, duration_ms float8, metadata jsonb)
JOIN locked ON locked.id = x.run_id)
SELECT locked.id, initiated.id
FROM locked
JOIN initiated ON initiated.cycle_id = locked.id

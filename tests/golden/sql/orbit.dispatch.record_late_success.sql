WITH locked AS (SELECT unnest(%(ids)s::uuid[]) AS id), records AS (INSERT INTO orbit_recordgroup (id, partition_key, cycle_id, level, namespace, stage, event, message, data, records)
SELECT x.id, x.cycle_id, x.cycle_id, x.level, x.namespace, x.stage, x.event, x.message, x.data, x.records
FROM jsonb_to_recordset(%(records)s::jsonb) AS x(id uuid, cycle_id uuid, level text, namespace text, stage text, event text, message text, data jsonb, records jsonb)
JOIN locked ON locked.id = x.cycle_id), events AS (INSERT INTO telemetry_telemetryevent (id, occurred_at, name, namespace, profile_id, run_id, stage, level, duration_ms, metadata)
SELECT x.id, clock_timestamp(), x.name, x.namespace, x.profile_id, x.run_id, x.stage, x.level, x.duration_ms, x.metadata
FROM jsonb_to_recordset(%(events)s::jsonb) AS x(id uuid, name text, namespace text, profile_id text, run_id uuid, stage text, level text, duration_ms float8, metadata jsonb)
JOIN locked ON locked.id = x.run_id)
SELECT id
FROM locked

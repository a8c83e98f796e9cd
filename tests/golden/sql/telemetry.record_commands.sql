INSERT INTO telemetry_telemetryevent (id, occurred_at, recorded_at, name, session_id, level, duration_ms, metadata)
SELECT x.id, x.occurred_at, clock_timestamp(), x.name, x.session_id, x.level, x.duration_ms, x.metadata
FROM json_to_recordset(%(events)s::json) AS x(id uuid, occurred_at timestamptz, name text, session_id text, level text, duration_ms float8, metadata jsonb)
ON CONFLICT DO NOTHING

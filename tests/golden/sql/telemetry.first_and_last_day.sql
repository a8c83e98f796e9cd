SELECT least((min(occurred_at) AT TIME ZONE 'UTC')::date, (SELECT min(day)
FROM telemetry_telemetryarchive)), greatest((max(occurred_at) AT TIME ZONE 'UTC')::date, (SELECT max(day)
FROM telemetry_telemetryarchive))
FROM telemetry_telemetryevent
WHERE isfinite(occurred_at)

SELECT min((occurred_at AT TIME ZONE 'UTC')::date)
FROM telemetry_telemetryevent
WHERE occurred_at >= (%(after)s::date + 1)::timestamp AT TIME ZONE 'UTC'

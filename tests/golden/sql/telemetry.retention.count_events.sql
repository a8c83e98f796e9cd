SELECT count(*)
FROM telemetry_telemetryevent
WHERE occurred_at >= %(day)s::date::timestamp AT TIME ZONE 'UTC'
AND occurred_at < (%(day)s::date + 1)::timestamp AT TIME ZONE 'UTC'

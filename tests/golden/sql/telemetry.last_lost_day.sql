SELECT max(day)
FROM telemetry_telemetryday
WHERE dropped_at IS NOT NULL
AND phase <> 'archived'

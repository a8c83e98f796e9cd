SELECT day
FROM telemetry_telemetryday
WHERE day = ANY(%(days)s::date[])
AND dropped_at IS NOT NULL

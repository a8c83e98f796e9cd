SELECT day, dropped_at IS NOT NULL
FROM telemetry_telemetryday
WHERE day = ANY(%(days)s::date[])
AND (dropped_at IS NOT NULL
OR phase <> 'open')

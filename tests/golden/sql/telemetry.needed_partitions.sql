SELECT day.value
FROM unnest(%(days)s::date[]) AS day(value)
WHERE to_regclass('telemetry_telemetryevent_p' || to_char(day.value, 'YYYYMMDD')) IS NULL
AND NOT EXISTS (SELECT 1
FROM telemetry_telemetryday t
WHERE t.day = day.value
AND t.dropped_at IS NOT NULL)
ORDER BY 1

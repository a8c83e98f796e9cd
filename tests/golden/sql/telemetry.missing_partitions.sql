SELECT day::date
FROM generate_series((now() AT TIME ZONE 'UTC')::date - 1, (now() AT TIME ZONE 'UTC')::date + 7, interval '1 day') AS day
WHERE to_regclass('telemetry_telemetryevent_p' || to_char(day, 'YYYYMMDD')) IS NULL
ORDER BY 1

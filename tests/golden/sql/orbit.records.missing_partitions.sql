SELECT 'telemetry', day::date
FROM generate_series((now() AT TIME ZONE 'UTC')::date - 1, (now() AT TIME ZONE 'UTC')::date + 7, interval '1 day') AS day
WHERE to_regclass('telemetry_telemetryevent_p' || to_char(day, 'YYYYMMDD')) IS NULL
UNION ALL
SELECT 'orbit', month::date
FROM generate_series(date_trunc('month', now() AT TIME ZONE 'UTC' - interval '1 month'), now() AT TIME ZONE 'UTC' + interval '1 year', interval '1 month') AS month
WHERE to_regclass('orbit_cyclecheckpoint_p' || to_char(month, 'YYYYMM')) IS NULL
OR to_regclass('orbit_executionrecord_p' || to_char(month, 'YYYYMM')) IS NULL
ORDER BY 1, 2

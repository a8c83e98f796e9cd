-- Days without a partition of their own.
-- params: days date[]
SELECT day
FROM unnest(%(days)s::date[]) AS day
WHERE to_regclass('telemetry_telemetryevent_p' || to_char(day, 'YYYYMMDD')) IS NULL
ORDER BY day

SELECT DISTINCT day
FROM telemetry_days_before(least((now() AT TIME ZONE 'UTC')::date - %(retention)s, (now() AT TIME ZONE 'UTC')::date - 1)) AS day
ORDER BY day

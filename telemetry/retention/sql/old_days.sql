-- The days before the retention that hold events, oldest first. Never one of the last two days.
-- params: retention int
SELECT DISTINCT day FROM telemetry_days_before(
    least((now() AT TIME ZONE 'UTC')::date - %(retention)s, (now() AT TIME ZONE 'UTC')::date - 1))
    AS day
ORDER BY day

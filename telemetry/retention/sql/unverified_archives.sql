-- The archives of a day that were not read back within so many seconds.
-- params: day date, seconds float
SELECT id FROM telemetry_telemetryarchive
WHERE day = %(day)s
  AND coalesce(verified_at, '-infinity') < clock_timestamp() - make_interval(secs => %(seconds)s)
ORDER BY namespace

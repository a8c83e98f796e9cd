SELECT id
FROM telemetry_telemetryarchive
WHERE day = %(day)s
AND coalesce(verified_at, '-infinity') < clock_timestamp() - make_interval(secs => %(seconds)s)
ORDER BY namespace

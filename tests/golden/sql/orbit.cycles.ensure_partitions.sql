SELECT telemetry_ensure_partitions(today - 1, today + 7) + orbit_ensure_partitions(today - 31, today + 366)
FROM (SELECT (now() AT TIME ZONE 'UTC')::date AS today) AS day

SELECT coalesce(sum(event_count), 0)::bigint, coalesce(sum(digest), 0)
FROM telemetry_telemetryarchive
WHERE day = %(day)s

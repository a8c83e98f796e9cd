WITH old AS (SELECT id
FROM telemetry_telemetryarchive
WHERE day = %(day)s
AND (verified_at IS NULL
OR NOT %(unverified_only)s)), chunks AS (DELETE
FROM telemetry_archivechunk c USING old
WHERE c.archive_id = old.id)
DELETE
FROM telemetry_telemetryarchive a USING old
WHERE a.id = old.id

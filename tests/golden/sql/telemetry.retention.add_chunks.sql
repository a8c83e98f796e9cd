WITH new AS (SELECT *
FROM unnest(%(namespaces)s::text[], %(chunks)s::bytea[], %(counts)s::int[], %(hashes)s::text[], %(digests)s::numeric[]) AS new(namespace, data, event_count, sha256, digest)), archive AS (INSERT INTO telemetry_telemetryarchive AS a (day, namespace, event_count, sha256, size, digest, created_at)
SELECT %(day)s::date, namespace, event_count, '', length(data), digest, clock_timestamp()
FROM new
ON CONFLICT (day, namespace) DO
UPDATE
SET event_count = a.event_count + excluded.event_count, size = a.size + excluded.size, digest = a.digest + excluded.digest
RETURNING a.id, a.namespace)
INSERT INTO telemetry_archivechunk (archive_id, number, data, event_count, sha256)
SELECT archive.id, coalesce((SELECT max(c.number) + 1
FROM telemetry_archivechunk c
WHERE c.archive_id = archive.id), 0), new.data, new.event_count, new.sha256
FROM new
JOIN archive ON archive.namespace IS NOT DISTINCT
FROM new.namespace

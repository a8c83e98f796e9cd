WITH initiation AS (SELECT id
FROM orbit_initiation
WHERE initiation_hash = ANY(%(hashes)s::text[])
OR id = ANY(%(initiations)s::uuid[])
ORDER BY id
FOR
UPDATE SKIP LOCKED), snapshot AS (SELECT id
FROM orbit_endpointsnapshot
WHERE id = ANY(%(snapshots)s::uuid[])
ORDER BY id
FOR
UPDATE SKIP LOCKED)
SELECT (SELECT coalesce(array_agg(id), '{}')
FROM initiation), (SELECT coalesce(array_agg(id), '{}')
FROM snapshot)

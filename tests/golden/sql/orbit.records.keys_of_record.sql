(SELECT partition_key
FROM orbit_recordgroup
WHERE id IN (%(id)s::uuid, orbit_record_id(%(id)s::uuid, 0))
AND partition_key <= %(latest)s::uuid
ORDER BY partition_key DESC
LIMIT 1)
UNION ALL (SELECT partition_key
FROM orbit_recordgroup
WHERE id IN (%(id)s::uuid, orbit_record_id(%(id)s::uuid, 0))
AND partition_key > %(latest)s::uuid
ORDER BY partition_key
LIMIT 1)
LIMIT 1

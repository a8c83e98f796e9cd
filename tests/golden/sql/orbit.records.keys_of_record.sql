SELECT partition_key
FROM orbit_recordgroup
WHERE id IN (%(id)s::uuid, orbit_record_id(%(id)s::uuid, 0))

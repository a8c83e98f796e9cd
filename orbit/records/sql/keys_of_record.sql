-- The partition key of a record: the only index with its id begins with that key. A record of a
-- group has the group's id but for the last 16 bits.
-- params: id uuid
SELECT partition_key
FROM orbit_recordgroup
WHERE id IN (%(id)s::uuid, orbit_record_id(%(id)s::uuid, 0))

-- The partition key of a record: the only index with its id begins with that key, which is mostly a
-- cycle's id. So look at the newest cycles up to the record's time first, then at newer ones: a clock
-- may have been wrong. A record of a group has the group's id but for the last 16 bits.
-- params: id uuid, latest uuid
(
    SELECT partition_key
    FROM orbit_recordgroup
    WHERE id IN (%(id)s::uuid, orbit_record_id(%(id)s::uuid, 0))
      AND partition_key <= %(latest)s::uuid
    ORDER BY partition_key DESC
    LIMIT 1
)
UNION ALL
(
    SELECT partition_key
    FROM orbit_recordgroup
    WHERE id IN (%(id)s::uuid, orbit_record_id(%(id)s::uuid, 0))
      AND partition_key > %(latest)s::uuid
    ORDER BY partition_key
    LIMIT 1
)
LIMIT 1

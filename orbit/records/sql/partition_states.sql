-- Of each partitioned table but that of events: whether now has a partition, whether there is a
-- DEFAULT partition, and whether that one holds rows.
SELECT parent, made, has_default, default_used FROM orbit_partition_states()
WHERE starts_with(parent, 'orbit')

-- Whether events of now have a partition, whether there is a DEFAULT partition, and whether that
-- one holds rows.
SELECT parent, made, has_default, default_used FROM telemetry_partition_states()

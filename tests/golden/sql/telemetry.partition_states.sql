SELECT parent, made, has_default, default_used
FROM telemetry_partition_states()

SELECT parent, made, has_default, default_used
FROM orbit_partition_states()
WHERE starts_with(parent, 'orbit')

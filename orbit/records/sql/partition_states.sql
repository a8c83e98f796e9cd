-- Of each partitioned table: whether now has a partition, whether there is a net, and whether the
-- net holds rows.
SELECT parent, made, has_net, net_used FROM orbit_partition_states()

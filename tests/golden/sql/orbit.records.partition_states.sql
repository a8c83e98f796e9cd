SELECT parent, made, has_net, net_used
FROM orbit_partition_states()

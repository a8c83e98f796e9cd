SELECT extract(epoch
FROM now() - max(seen_at))
FROM orbit_clusternode
WHERE host = %s

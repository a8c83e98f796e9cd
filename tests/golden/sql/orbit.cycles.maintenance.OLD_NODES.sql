DELETE
FROM orbit_clusternode
WHERE seen_at < now() - interval '1 day'

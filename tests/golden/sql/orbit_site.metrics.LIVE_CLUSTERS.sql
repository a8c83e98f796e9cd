SELECT count(*)
FROM orbit_clusternode
WHERE seen_at > now() - interval '15 s'

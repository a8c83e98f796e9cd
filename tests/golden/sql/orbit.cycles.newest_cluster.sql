SELECT id
FROM orbit_clusternode
WHERE seen_at > statement_timestamp() - 15.0 * interval '1 second'
AND NOT draining
ORDER BY id DESC
LIMIT 1

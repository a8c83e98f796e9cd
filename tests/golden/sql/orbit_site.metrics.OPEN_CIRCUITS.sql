SELECT endpoint_key, max((opened_at IS NOT NULL)::int)
FROM orbit_endpointstate
GROUP BY 1
ORDER BY 1
LIMIT 1000

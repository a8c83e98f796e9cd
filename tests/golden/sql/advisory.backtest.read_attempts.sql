SELECT r.cycle_id, (r.data ->> 'tier')::int, array_agg((r.data ->> 'duration_ms')::float8
ORDER BY (r.data ->> 'attempt')::int)
FROM orbit_executionrecord r
WHERE r.partition_key = ANY (%(cycles)s::uuid[])
AND r.stage = 'transformations'
AND r.event = 'tier_attempt'
GROUP BY 1, 2

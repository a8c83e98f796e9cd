SELECT l.cycle_id, l.endpoint_key, coalesce(l.status_code::text, l.reason), l.error_pattern, count(*)
FROM orbit_deadletterdispatch l
WHERE l.cycle_id = ANY(%(cycles)s)
GROUP BY 1, 2, 3, 4
ORDER BY 5 DESC, 2, 3, 4
LIMIT %(most)s

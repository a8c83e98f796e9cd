SELECT id::text, namespace, count(*) OVER ()
FROM orbit_cyclerun
WHERE status = ANY(%(statuses)s)
ORDER BY id
LIMIT 20

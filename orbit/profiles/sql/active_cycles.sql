-- The first active cycles, and how many there are in all.
-- params: statuses text[]
SELECT id::text, namespace, count(*) OVER ()
FROM orbit_cyclerun
WHERE status = ANY(%(statuses)s)
ORDER BY id
LIMIT 20

WITH rare AS (SELECT status, count(*) AS number
FROM orbit_cyclerun
WHERE status IN ('queued', 'partial_success', 'failed', 'cancelled')
GROUP BY status
UNION ALL
SELECT status, count(*)
FROM orbit_cyclerun
WHERE status IN ('pending', 'running')
GROUP BY status)
SELECT status, number
FROM rare
UNION ALL
SELECT 'success', (SELECT count(*)
FROM orbit_cyclerun) - (SELECT coalesce(sum(number), 0)
FROM rare)::bigint

WITH rare AS (SELECT status, count(*) AS number
FROM orbit_dispatchjob
WHERE status IN ('dead', 'cancelled')
GROUP BY status
UNION ALL
SELECT status, count(*)
FROM orbit_dispatchjob
WHERE status IN ('pending', 'sending')
GROUP BY status)
SELECT status, number
FROM rare
UNION ALL
SELECT 'delivered', (SELECT count(*)
FROM orbit_dispatchjob) - (SELECT coalesce(sum(number), 0)
FROM rare)::bigint

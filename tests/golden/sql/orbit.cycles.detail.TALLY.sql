WITH RECURSIVE chain AS (SELECT j.id, j.status, j.id AS root
FROM orbit_dispatchjob j
LEFT
JOIN orbit_dispatchjob o ON o.id = j.requeue_of_id
WHERE j.cycle_id = %s
AND o.cycle_id IS DISTINCT
FROM j.cycle_id
UNION ALL
SELECT j.id, j.status, chain.root
FROM orbit_dispatchjob j
JOIN chain ON j.requeue_of_id = chain.id)
SELECT ended, count(*)
FROM (SELECT CASE WHEN bool_or(status = 'delivered') THEN 'delivered' ELSE (array_agg(status
ORDER BY id DESC))[1] END AS ended
FROM chain
GROUP BY root) AS deliveries
GROUP BY ended

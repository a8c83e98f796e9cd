WITH RECURSIVE chain AS (SELECT j.id, j.status, j.id AS root, j.cycle_id AS cycle, j.endpoint_key
FROM orbit_dispatchjob j
LEFT
JOIN orbit_dispatchjob o ON o.id = j.requeue_of_id
WHERE j.cycle_id = ANY(%(cycles)s)
AND o.cycle_id IS DISTINCT
FROM j.cycle_id
UNION ALL
SELECT j.id, j.status, chain.root, chain.cycle, chain.endpoint_key
FROM orbit_dispatchjob j
JOIN chain ON j.requeue_of_id = chain.id)
SELECT cycle, endpoint_key, ended, count(*)
FROM (SELECT cycle, endpoint_key, CASE WHEN bool_or(status = 'delivered') THEN 'delivered' ELSE (array_agg(status
ORDER BY id DESC))[1] END AS ended
FROM chain
GROUP BY cycle, endpoint_key, root) AS deliveries
GROUP BY 1, 2, 3
ORDER BY 2, 3

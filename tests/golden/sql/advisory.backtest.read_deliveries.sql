WITH deliveries AS (SELECT j.cycle_id, t.tier, j.endpoint_key, j.status, j.attempts, j.spent, j.max_retries, coalesce(d.reason, '') AS reason, j.spent > 0
AND EXISTS (SELECT 1
FROM orbit_deliveryreceipt r
WHERE r.job_id = j.id
AND r.status IN ('unknown', 'unsent')) AS has_unknown, j.status = 'delivered'
AND j.spent = 0
AND (%(kept)s::text[] IS NULL
OR j.endpoint_key = ANY (%(kept)s::text[])) AS plain
FROM orbit_dispatchjob j
JOIN orbit_normalizationitem i ON i.id = j.normalization_item_id
JOIN orbit_transformation t ON t.id = i.transformation_id
LEFT
JOIN orbit_deadletterdispatch d ON d.job_id = j.id
WHERE j.cycle_id = ANY (%(cycles)s::uuid[])
AND j.requeue_of_id IS NULL)
SELECT d.cycle_id, d.tier, CASE WHEN NOT d.plain THEN d.endpoint_key END, d.status, d.attempts, d.spent, d.max_retries, d.reason, d.has_unknown, count(*)
FROM deliveries d
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
ORDER BY 1, 2, 3

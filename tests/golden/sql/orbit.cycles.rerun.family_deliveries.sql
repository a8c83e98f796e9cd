WITH newest AS (SELECT DISTINCT ON (j.normalization_item_id, j.endpoint_key) j.normalization_item_id, j.endpoint_key, j.id, j.delivery_id, j.snapshot_id, bool_or(j.status = 'delivered') OVER pair AS delivered, bool_or(j.status IN ('pending', 'sending')) OVER pair AS open
FROM orbit_dispatchjob j
WHERE j.cycle_id = ANY(%(family)s) WINDOW pair AS (PARTITION BY j.normalization_item_id, j.endpoint_key)
ORDER BY j.normalization_item_id, j.endpoint_key, EXISTS (SELECT 1
FROM orbit_dispatchjob c
WHERE c.requeue_of_id = j.id), j.id DESC)
SELECT n.normalization_item_id, t.tier, n.endpoint_key, n.id, n.delivery_id, n.snapshot_id, s.fingerprint, n.delivered, n.open, l.id, l.cycle_id, l.status
FROM newest n
JOIN orbit_normalizationitem i ON i.id = n.normalization_item_id
JOIN orbit_transformation t ON t.id = i.transformation_id
JOIN orbit_endpointsnapshot s ON s.id = n.snapshot_id
LEFT
JOIN orbit_deadletterdispatch l ON l.job_id = n.id
ORDER BY t.tier, n.endpoint_key, n.id

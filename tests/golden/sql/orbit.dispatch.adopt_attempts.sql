WITH locked AS MATERIALIZED (SELECT c.id, c.fencing_token AS token, c.namespace, c.requeues, c.status
FROM orbit_cyclerun c
JOIN unnest(%(ids)s::uuid[], %(tokens)s::bigint[]) AS lease(id, token) ON lease.id = c.id
AND lease.token = c.fencing_token
ORDER BY c.id
FOR NO KEY
UPDATE OF c), begun AS MATERIALIZED (SELECT r.id AS receipt_id, j.id, j.attempts, j.spent, j.max_retries, j.delivery_id, j.endpoint_key, j.snapshot_id, j.normalization_item_id, j.cycle_id, j.requeue_of_id
FROM orbit_deliveryreceipt r
JOIN orbit_dispatchjob j ON j.id = r.job_id
JOIN locked ON locked.id = j.cycle_id
WHERE r.id = ANY(%(receipts)s::uuid[])
AND r.status || '' = 'sending'
ORDER BY r.id
LIMIT %(limit)s)
SELECT locked.id, m.receipt_id, m.id, m.attempts, m.spent, m.max_retries, m.delivery_id, m.endpoint_key, m.snapshot_id, i.payload, i.content_type, s.state_id, CASE WHEN m.requeue_of_id IS NOT NULL THEN coalesce((SELECT true
FROM orbit_dispatchjob o
JOIN orbit_deliveryreceipt r ON r.job_id = o.id
WHERE o.delivery_id = m.delivery_id
AND r.status = 'unknown'
LIMIT 1), false) ELSE m.attempts > 1
AND EXISTS (SELECT 1
FROM orbit_deliveryreceipt r
WHERE r.job_id = m.id
AND r.status = 'unknown') END, e.opened_at IS NOT NULL
FROM locked
LEFT
JOIN begun m ON m.cycle_id = locked.id
LEFT
JOIN orbit_normalizationitem i ON i.id = m.normalization_item_id
LEFT
JOIN orbit_endpointsnapshot s ON s.id = m.snapshot_id
LEFT
JOIN orbit_endpointstate e ON e.id = s.state_id

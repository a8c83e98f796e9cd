-- The attempts that a write of ours began whose answer was lost. Nothing of them has been sent.
-- params: receipts uuid[], limit int
WITH {{locked}},
begun AS MATERIALIZED (
    SELECT
        r.id AS receipt_id, j.id, j.attempts, j.spent, j.max_retries, j.delivery_id,
        j.endpoint_key, j.snapshot_id, j.normalization_item_id, j.cycle_id, j.requeue_of_id
    FROM orbit_deliveryreceipt r
    JOIN orbit_dispatchjob j ON j.id = r.job_id
    JOIN locked ON locked.id = j.cycle_id
    WHERE r.id = ANY(%(receipts)s::uuid[])
      AND r.status || '' = 'sending'   -- keeps the planner off the partial index of open rows
    ORDER BY r.id
    LIMIT %(limit)s
)
SELECT
    locked.id, m.receipt_id, m.id, m.attempts, m.spent, m.max_retries, m.delivery_id,
    m.endpoint_key, m.snapshot_id, i.payload, i.content_type, s.state_id, {{may_have_arrived}},
    e.opened_at IS NOT NULL
FROM locked
LEFT JOIN begun m ON m.cycle_id = locked.id   -- LEFT: a row without jobs says that the fence held
LEFT JOIN orbit_normalizationitem i ON i.id = m.normalization_item_id
LEFT JOIN orbit_endpointsnapshot s ON s.id = m.snapshot_id
LEFT JOIN orbit_endpointstate e ON e.id = s.state_id

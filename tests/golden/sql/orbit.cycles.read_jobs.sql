SELECT j.id, j.status, extract(epoch
FROM j.next_attempt_at - clock_timestamp())::float8, r.id, j.attempts, j.spent, j.max_retries, j.delivery_id, j.endpoint_key, o.cycle_id IS NOT DISTINCT
FROM j.cycle_id, j.snapshot_id, coalesce(j.created_at > c.finished_at, false)
FROM orbit_dispatchjob j
LEFT
JOIN orbit_dispatchjob o ON o.id = j.requeue_of_id
JOIN orbit_cyclerun c ON c.id = j.cycle_id
LEFT
JOIN orbit_deliveryreceipt r ON r.job_id = j.id
AND r.status = 'sending'
WHERE j.cycle_id = %(cycle)s

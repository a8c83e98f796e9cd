-- The jobs of a cycle. One whose attempt a lost worker left open has its receipt too.
-- params: cycle uuid
SELECT
    j.id, j.status,
    extract(epoch FROM j.next_attempt_at - clock_timestamp())::float8,
    r.id, j.attempts, j.spent, j.max_retries, j.delivery_id, j.endpoint_key,
    o.cycle_id IS NOT DISTINCT FROM j.cycle_id,   -- requeued within this cycle
    j.snapshot_id,
    coalesce(j.created_at > c.finished_at, false)   -- added after the cycle had ended
FROM orbit_dispatchjob j
LEFT JOIN orbit_dispatchjob o ON o.id = j.requeue_of_id
JOIN orbit_cyclerun c ON c.id = j.cycle_id
LEFT JOIN orbit_deliveryreceipt r ON r.job_id = j.id AND r.status = 'sending'
WHERE j.cycle_id = %(cycle)s

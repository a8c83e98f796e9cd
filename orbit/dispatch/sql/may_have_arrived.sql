-- A value: whether an earlier attempt of the delivery of job `m` may have arrived. A requeued job
-- shares its delivery with the jobs before it.
CASE
    WHEN m.requeue_of_id IS NOT NULL THEN coalesce(
        (   -- not EXISTS: the planner may turn that into a scan of all jobs
            SELECT true
            FROM orbit_dispatchjob o
            JOIN orbit_deliveryreceipt r ON r.job_id = o.id
            WHERE o.delivery_id = m.delivery_id
              AND r.status = 'unknown'
            LIMIT 1
        ),
        false
    )
    ELSE m.attempts > 1 AND EXISTS (
        SELECT 1
        FROM orbit_deliveryreceipt r
        WHERE r.job_id = m.id
          AND r.status = 'unknown'
    )
END

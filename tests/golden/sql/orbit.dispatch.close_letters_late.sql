WITH RECURSIVE chain AS (SELECT %(job)s::uuid AS id
UNION ALL
SELECT j.id
FROM chain
JOIN orbit_dispatchjob j ON j.requeue_of_id = chain.id)
UPDATE orbit_deadletterdispatch l
SET status = 'delivered_late', resolved_at = clock_timestamp(), resolved_by = 'orbit', resolved_reason = 'a 2xx arrived late'
WHERE l.job_id = ANY (ARRAY(SELECT id
FROM chain))
AND l.status || '' IN ('open', 'requeued')
RETURNING l.id

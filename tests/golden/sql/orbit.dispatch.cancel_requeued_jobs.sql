WITH RECURSIVE chain AS (SELECT %(job)s::uuid AS id
UNION ALL
SELECT j.id
FROM chain
JOIN orbit_dispatchjob j ON j.requeue_of_id = chain.id)
UPDATE orbit_dispatchjob c
SET status = 'cancelled', next_attempt_at = NULL, finished_at = clock_timestamp(), last_error = 'the original was delivered late'
WHERE c.id = ANY (ARRAY(SELECT id
FROM chain))
AND c.id <> %(job)s::uuid
AND c.status || '' IN ('pending', 'sending')
RETURNING c.id

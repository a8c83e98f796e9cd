WITH own AS MATERIALIZED (SELECT i.object_id, j.status, j.finished_at
FROM governance_operationrunitem i
JOIN orbit_deadletterdispatch l ON l.id = i.object_id
JOIN orbit_dispatchjob j ON j.id = l.requeued_job_id
WHERE i.run_id = %(run)s
AND i.outcome = 'succeeded'
AND (%(first)s::uuid IS NULL
OR i.object_id >= %(first)s::uuid)
ORDER BY i.object_id DESC
LIMIT 20000)
SELECT (SELECT object_id
FROM own
WHERE status IN ('pending', 'sending')
ORDER BY object_id
LIMIT 1), (SELECT object_id
FROM own
ORDER BY object_id DESC
LIMIT 1), (SELECT array_agg(status
ORDER BY finished_at)
FROM own
WHERE status IN ('delivered', 'dead')
AND (%(since)s::timestamptz IS NULL
OR finished_at > %(since)s::timestamptz)), (SELECT max(finished_at)
FROM own
WHERE status IN ('delivered', 'dead'))

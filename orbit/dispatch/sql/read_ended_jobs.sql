-- How the jobs of a bulk requeue ended since the last look: the first letter whose job is open, the
-- newest letter, the statuses of the jobs that ended in their order, and when the last one ended.
-- params: run uuid, first uuid, since timestamptz
WITH own AS MATERIALIZED (
    SELECT i.object_id, j.status, j.finished_at
    FROM governance_operationrunitem i
    JOIN orbit_deadletterdispatch l ON l.id = i.object_id
    JOIN orbit_dispatchjob j ON j.id = l.requeued_job_id
    WHERE i.run_id = %(run)s
      AND i.outcome = 'succeeded'   -- the others made no job
      AND (%(first)s::uuid IS NULL OR i.object_id >= %(first)s::uuid)   -- all before it are counted
    ORDER BY i.object_id DESC
    LIMIT {{window}}
)
SELECT
    (
        SELECT object_id FROM own
        WHERE status IN ('pending', 'sending')
        ORDER BY object_id LIMIT 1
    ),
    (SELECT object_id FROM own ORDER BY object_id DESC LIMIT 1),
    (
        SELECT array_agg(status ORDER BY finished_at) FROM own
        WHERE status IN ('delivered', 'dead')   -- a cancelled job says nothing about the receiver
          AND (%(since)s::timestamptz IS NULL OR finished_at > %(since)s::timestamptz)
    ),
    (SELECT max(finished_at) FROM own WHERE status IN ('delivered', 'dead'))

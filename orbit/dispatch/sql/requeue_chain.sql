-- A job and all jobs that were requeued from it.
-- params: job uuid
RECURSIVE chain AS (
    SELECT %(job)s::uuid AS id
    UNION ALL
    SELECT j.id
    FROM chain
    JOIN orbit_dispatchjob j ON j.requeue_of_id = chain.id
)

-- A job, the jobs that it was requeued from and those that it was requeued to, the oldest first.
-- params: job uuid, most int
WITH RECURSIVE earlier AS (
    SELECT j.id, j.requeue_of_id, 0 AS step
    FROM orbit_dispatchjob j
    WHERE j.id = %(job)s
    UNION ALL
    SELECT j.id, j.requeue_of_id, e.step + 1
    FROM earlier e
    JOIN orbit_dispatchjob j ON j.id = e.requeue_of_id
    WHERE e.step < %(most)s
),
later AS (
    SELECT %(job)s::uuid AS id, 0 AS step
    UNION ALL
    SELECT j.id, l.step + 1
    FROM later l
    JOIN orbit_dispatchjob j ON j.requeue_of_id = l.id   -- at most one, by a unique index
    WHERE l.step < %(most)s
)
SELECT
    j.id, j.status, j.attempts, j.delivery_id, j.created_at, d.id, d.status, d.resolved_by,
    d.resolved_reason
FROM (SELECT id FROM earlier UNION SELECT id FROM later) f
JOIN orbit_dispatchjob j ON j.id = f.id
LEFT JOIN orbit_deadletterdispatch d ON d.job_id = j.id
ORDER BY j.id

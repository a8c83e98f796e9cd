-- Those of the jobs that a dead letter was requeued to.
-- params: jobs uuid[]
SELECT l.requeued_job_id
FROM orbit_deadletterdispatch l
WHERE l.requeued_job_id = ANY(%(jobs)s::uuid[])

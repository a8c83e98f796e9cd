SELECT l.requeued_job_id
FROM orbit_deadletterdispatch l
WHERE l.requeued_job_id = ANY(%(jobs)s::uuid[])

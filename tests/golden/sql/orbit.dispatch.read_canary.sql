SELECT j.status, j.last_error, l.status, again.reason, extract(epoch
FROM clock_timestamp() - j.created_at)::float8
FROM orbit_dispatchjob j
JOIN orbit_deadletterdispatch l ON l.requeued_job_id = j.id
LEFT
JOIN orbit_deadletterdispatch again ON again.job_id = j.id
WHERE j.id = %(id)s

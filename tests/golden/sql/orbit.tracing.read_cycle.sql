SELECT c.namespace, c.profile_id, c.run_profile_id, c.trigger, c.status, c.reason, c.rerun_of, c.traceparent, c.created_at, c.started_at, c.finished_at
FROM orbit_cyclerun c
WHERE c.id = %(id)s
AND c.finished_at IS NOT NULL

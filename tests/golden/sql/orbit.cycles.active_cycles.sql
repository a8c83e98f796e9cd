SELECT namespace, id, status, run_profile_id, input_sha256, started_at IS NOT NULL
AND coalesce(lease_expires_at <= now(), false), call
FROM orbit_cyclerun
WHERE namespace = ANY(%(namespaces)s)
AND status IN ('pending', 'running')

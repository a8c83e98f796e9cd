SELECT run_profile_id, id, namespace, status
FROM orbit_cyclerun
WHERE call = %(call)s

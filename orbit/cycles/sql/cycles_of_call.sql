-- The cycles that a call or tick has created.
-- params: call uuid
SELECT run_profile_id, id, namespace, status
FROM orbit_cyclerun
WHERE call = %(call)s

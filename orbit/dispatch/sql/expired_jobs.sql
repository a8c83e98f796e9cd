-- Jobs of a cycle that have waited too long for an endpoint that is down.
-- params: states uuid[]
SELECT j.id, j.attempts, j.spent, j.max_retries, j.delivery_id, j.endpoint_key, e.id
FROM orbit_dispatchjob j
JOIN orbit_endpointsnapshot s ON s.id = j.snapshot_id
JOIN orbit_endpointstate e ON e.id = s.state_id
WHERE j.cycle_id = %(cycle)s
  AND j.status = 'pending'
  AND e.id = ANY(%(states)s::uuid[])
  AND {{is_given_up}}
ORDER BY j.id
LIMIT 1000   -- the endpoints' rows are locked: leave the rest to the next claim

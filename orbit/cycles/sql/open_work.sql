-- What the open deliveries and tiers of some cycles wait for: a row for each cycle and endpoint.
-- A row of tiers has no endpoint.
-- params: cycles uuid[], moment timestamptz
SELECT
    j.cycle_id, j.endpoint_key,
    count(*) FILTER (WHERE j.status = 'sending') AS sending,
    count(*) FILTER (WHERE j.status = 'pending' AND j.next_attempt_at <= %(moment)s) AS due,
    min(j.next_attempt_at) FILTER (
        WHERE j.status = 'pending' AND j.next_attempt_at > %(moment)s
    ) AS retry_at,
    min(e.opened_at) AS opened_at,   -- an endpoint's breaker is open since then
    min(e.probe_at) AS probe_at
FROM orbit_dispatchjob j
JOIN orbit_endpointsnapshot s ON s.id = j.snapshot_id
LEFT JOIN orbit_endpointstate e ON e.id = s.state_id
WHERE j.cycle_id = ANY(%(cycles)s)
  AND j.status IN ('pending', 'sending')   -- the condition of the index
GROUP BY j.cycle_id, j.endpoint_key
UNION ALL
SELECT
    t.cycle_id, NULL, 0,
    count(*) FILTER (WHERE t.next_attempt_at <= %(moment)s),
    min(t.next_attempt_at) FILTER (WHERE t.next_attempt_at > %(moment)s),
    NULL, NULL
FROM orbit_transformation t
WHERE t.cycle_id = ANY(%(cycles)s)
  AND t.status = 'pending'
GROUP BY t.cycle_id
ORDER BY 1, 2

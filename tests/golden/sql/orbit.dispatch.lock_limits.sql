SELECT e.id, e.max_concurrency, e.rate_per_second, e.opened_at, e.probe_at, e.probe_wait, e.hold_until, e.next_slot_at, e.next_turn_at
FROM orbit_endpointstate e
WHERE e.id IN (SELECT s.state_id
FROM orbit_dispatchjob j
JOIN orbit_endpointsnapshot s ON s.id = j.snapshot_id
WHERE j.cycle_id = %(cycle)s
AND j.status = 'pending'
AND j.next_attempt_at <= clock_timestamp())
ORDER BY e.id
FOR NO KEY
UPDATE OF e

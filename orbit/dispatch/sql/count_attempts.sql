-- Per endpoint: the attempts in flight of all processes, and the due jobs of this cycle.
-- params: states uuid[]
SELECT
    e.id,
    clock_timestamp(),
    in_flight.number,
    (
        SELECT count(*)
        FROM orbit_dispatchjob j
        JOIN orbit_endpointsnapshot s ON s.id = j.snapshot_id
        WHERE j.cycle_id = %(cycle)s
          AND s.state_id = e.id
          AND j.status = 'pending'
          AND j.next_attempt_at <= clock_timestamp()
          AND NOT ({{is_given_up}})
    ),
    in_flight.oldest
FROM orbit_endpointstate e, LATERAL (
    SELECT
        count(*) AS number,
        coalesce(extract(epoch FROM clock_timestamp() - min(r.started_at)), 0)::float8 AS oldest
    FROM orbit_deliveryreceipt r
    JOIN orbit_dispatchjob j ON j.id = r.job_id
    JOIN orbit_endpointsnapshot s ON s.id = j.snapshot_id
    WHERE r.status = 'sending'
      -- An older one was abandoned. In a halted namespace nothing closes it, but it must not take
      -- up the endpoint's cap.
      AND r.started_at > clock_timestamp() - {{longest_seconds}} * interval '1 second'
      AND s.state_id = e.id
      AND e.max_concurrency IS NOT NULL   -- else the number isn't used: don't count
) AS in_flight
WHERE e.id = ANY(%(states)s::uuid[])
ORDER BY e.id

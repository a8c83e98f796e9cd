-- Lock cycles that wait for an endpoint, the soonest due first; `condition` is that of an index.
-- args: condition
-- params: state uuid, most int
SELECT w.id
FROM orbit_cyclerun w
WHERE w.next_due_at > now()
  AND {{condition}}
  AND EXISTS (
      SELECT 1
      FROM orbit_dispatchjob j
      JOIN orbit_endpointsnapshot s ON s.id = j.snapshot_id
      WHERE j.cycle_id = w.id
        AND j.status = 'pending'
        AND j.next_attempt_at <= clock_timestamp()
        AND s.state_id = %(state)s
  )
ORDER BY w.next_due_at
LIMIT %(most)s
FOR NO KEY UPDATE OF w SKIP LOCKED   -- don't wait for a worker's lock

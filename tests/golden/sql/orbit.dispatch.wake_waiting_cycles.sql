UPDATE orbit_cyclerun c
SET next_due_at = CASE WHEN c.lease_owner IS NULL THEN clock_timestamp() ELSE c.next_due_at END, requeues = c.requeues + (c.lease_owner IS NOT NULL)::int
WHERE c.id IN (SELECT id
FROM (SELECT w.id
FROM orbit_cyclerun w
WHERE w.next_due_at > now()
AND w.resumes < 2
AND EXISTS (SELECT 1
FROM orbit_dispatchjob j
JOIN orbit_endpointsnapshot s ON s.id = j.snapshot_id
WHERE j.cycle_id = w.id
AND j.status = 'pending'
AND j.next_attempt_at <= clock_timestamp()
AND s.state_id = %(state)s)
ORDER BY w.next_due_at
LIMIT %(most)s
FOR NO KEY
UPDATE OF w SKIP LOCKED) AS usual
UNION ALL
SELECT id
FROM (SELECT w.id
FROM orbit_cyclerun w
WHERE w.next_due_at > now()
AND w.resumes >= 2
AND EXISTS (SELECT 1
FROM orbit_dispatchjob j
JOIN orbit_endpointsnapshot s ON s.id = j.snapshot_id
WHERE j.cycle_id = w.id
AND j.status = 'pending'
AND j.next_attempt_at <= clock_timestamp()
AND s.state_id = %(state)s)
ORDER BY w.next_due_at
LIMIT %(most)s
FOR NO KEY
UPDATE OF w SKIP LOCKED) AS suspected)
RETURNING c.id

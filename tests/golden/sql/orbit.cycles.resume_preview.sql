WITH stopped AS MATERIALIZED (SELECT n.name
FROM governance_namespace n
LEFT
JOIN governance_governancesetting s ON s.namespace_id = n.id
WHERE n.name = %(namespace)s
OR (%(namespace)s::text IS NULL
AND (s.mode IS NULL
OR s.mode = 'running'
OR s.until <= now())))
SELECT (SELECT count(*)
FROM (SELECT 1
FROM stopped
JOIN orbit_cyclerun c ON c.namespace = stopped.name
WHERE c.status IN ('pending', 'running')
LIMIT %(most)s) AS active), (SELECT count(*)
FROM (SELECT 1
FROM stopped
JOIN orbit_cyclerun c ON c.namespace = stopped.name
WHERE c.status = 'queued'
LIMIT %(most)s) AS queued), (SELECT count(*)
FROM (SELECT 1
FROM stopped
JOIN orbit_cyclerun c ON c.namespace = stopped.name
JOIN orbit_dispatchjob j ON j.cycle_id = c.id
WHERE c.next_due_at IS NOT NULL
AND j.status IN ('pending', 'sending')
LIMIT %(most)s) AS deliveries), (SELECT count(*)
FROM ((SELECT 1
FROM orbit_runprofile r CROSS
JOIN LATERAL (SELECT t.outcome
FROM orbit_crontick t
WHERE t.schedule = 'run-profile:' || r.run_profile_id
AND t.due_at >= %(since)s
ORDER BY t.due_at DESC
LIMIT %(most)s) AS t
WHERE r.namespace = %(namespace)s
AND t.outcome IN ('skipped', 'refused', 'missed', 'late')
LIMIT %(most)s)
UNION ALL (SELECT 1
FROM orbit_crontick t
WHERE %(namespace)s::text IS NULL
AND t.outcome IN ('skipped', 'refused', 'missed', 'late')
AND t.id >= orbit_uuid_floor(%(since)s - interval '1 hour')
AND t.due_at >= %(since)s
LIMIT %(most)s)) AS ticks)

SELECT (SELECT count(*)
FROM (SELECT 1
FROM governance_operationrun r
WHERE r.status IN ('queued', 'running')
AND (r.next_due_at <= now() - %(late)s * interval '1 second'
OR r.next_due_at > now() + 600.0 * interval '1 second')
AND r.id <> %(run)s
LIMIT %(most)s) AS lost) AS operations, (SELECT count(*)
FROM (SELECT 1
FROM orbit_cyclerun c
WHERE c.lease_owner IS NOT NULL
AND c.lease_expires_at <= now()
LIMIT %(most)s) AS lost) AS cycles, (SELECT count(*)
FROM (SELECT 1
FROM orbit_deliveryreceipt r
JOIN orbit_dispatchjob j ON j.id = r.job_id
JOIN orbit_cyclerun c ON c.id = j.cycle_id
WHERE r.status = 'sending'
AND (c.lease_expires_at IS NULL
OR c.lease_expires_at <= now())
LIMIT %(most)s) AS lost) AS deliveries, (SELECT count(*)
FROM (SELECT 1
FROM orbit_conductortask t
WHERE t.lease_expires_at <= now()
LIMIT %(most)s) AS lost) AS tasks

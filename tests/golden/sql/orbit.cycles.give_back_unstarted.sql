UPDATE orbit_cyclerun c
SET lease_owner = NULL, lease_expires_at = NULL, next_due_at = now()
WHERE c.next_due_at > now()
AND c.next_due_at <= now() + %(seconds)s * interval '1 second'
AND c.lease_owner = %(owner)s
AND c.lease_expires_at <= %(asked_at)s::timestamptz + %(seconds)s * interval '1 second'
AND c.id <> ALL(%(running)s::uuid[])
AND NOT EXISTS (SELECT 1
FROM orbit_dispatchjob j
JOIN orbit_deliveryreceipt r ON r.job_id = j.id
WHERE j.cycle_id = c.id
AND r.status = 'sending')
RETURNING c.id

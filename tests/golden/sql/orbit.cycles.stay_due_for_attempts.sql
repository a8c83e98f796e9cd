UPDATE orbit_cyclerun c
SET next_due_at = clock_timestamp() + interval '130 seconds'
WHERE c.id = %(id)s
AND EXISTS (SELECT 1
FROM orbit_dispatchjob j
JOIN orbit_deliveryreceipt r ON r.job_id = j.id
WHERE j.cycle_id = c.id
AND r.status = 'sending')

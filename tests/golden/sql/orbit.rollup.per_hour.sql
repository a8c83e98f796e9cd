SELECT hour, sum(delivered)::bigint AS delivered, sum(dead)::bigint AS dead
FROM (SELECT hour, delivered, dead
FROM orbit_deliveryhour
WHERE hour >= date_trunc('hour', now() - interval '23 hours')
AND (%(scope)s::text[] IS NULL
OR namespace = ANY(%(scope)s::text[]))
UNION ALL
SELECT date_trunc('hour', r.started_at), 1, 0
FROM (SELECT job_id, started_at, status
FROM orbit_deliveryreceipt
WHERE id > coalesce((SELECT after
FROM orbit_rollupmark
WHERE kind = 'receipts'), orbit_uuid_floor(now() - interval '23 hours'))
ORDER BY id
LIMIT 20000) AS r
WHERE r.status = 'delivered'
AND (%(scope)s::text[] IS NULL
OR (SELECT c.namespace
FROM orbit_dispatchjob j
JOIN orbit_cyclerun c ON c.id = j.cycle_id
WHERE j.id = r.job_id) = ANY(%(scope)s::text[]))
UNION ALL
SELECT date_trunc('hour', created_at), 0, 1
FROM (SELECT created_at, namespace
FROM orbit_deadletterdispatch
WHERE id > coalesce((SELECT after
FROM orbit_rollupmark
WHERE kind = 'letters'), orbit_uuid_floor(now() - interval '23 hours'))
ORDER BY id
LIMIT 20000) AS l
WHERE %(scope)s::text[] IS NULL
OR namespace = ANY(%(scope)s::text[])) AS counted
WHERE hour >= date_trunc('hour', now() - interval '23 hours')
GROUP BY hour
ORDER BY hour

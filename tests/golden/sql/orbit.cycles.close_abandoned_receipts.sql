WITH locked AS MATERIALIZED (SELECT c.id, c.fencing_token AS token, c.namespace, c.requeues, c.status
FROM orbit_cyclerun c
JOIN unnest(%(ids)s::uuid[], %(tokens)s::bigint[]) AS lease(id, token) ON lease.id = c.id
AND lease.token = c.fencing_token
ORDER BY c.id
FOR NO KEY
UPDATE OF c)
UPDATE orbit_deliveryreceipt r
SET status = 'unknown', finished_at = clock_timestamp(), error_class = 'lost', error = 'the worker that sent it was lost'
FROM locked
WHERE r.id = ANY(%(receipts)s::uuid[])
AND r.status = 'sending'
RETURNING r.id

SELECT r.*, extract(epoch
FROM clock_timestamp() - r.next_due_at)::float8 AS late, EXISTS (SELECT 1
FROM governance_operationrun o
WHERE o.type = r.type
AND o.identity_hash = r.identity_hash
AND o.namespace_id IS NOT DISTINCT
FROM r.namespace_id
AND o.status IN ('queued', 'running')
AND o.id < r.id) AS doubled
FROM governance_operationrun r
WHERE r.id = %(id)s
AND r.status IN ('queued', 'running')
AND (r.next_due_at <= clock_timestamp()
OR r.next_due_at > clock_timestamp() + 600.0 * interval '1 second')
FOR NO KEY
UPDATE OF r SKIP LOCKED

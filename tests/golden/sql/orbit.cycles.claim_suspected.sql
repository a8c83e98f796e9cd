WITH looked AS MATERIALIZED (SELECT c.id, c.next_due_at, c.namespace
FROM orbit_cyclerun c
WHERE (c.next_due_at, c.id) > (%(since)s::timestamptz, %(since_id)s::uuid)
AND c.next_due_at <= now()
AND c.resumes >= 2
ORDER BY c.next_due_at, c.id
LIMIT 500), edge AS (SELECT looked.next_due_at, looked.id
FROM looked
ORDER BY looked.next_due_at, looked.id OFFSET 500 - 1
LIMIT 1), due AS MATERIALIZED (SELECT c.id, c.lease_owner IS NOT NULL AS ran_out
FROM looked
JOIN orbit_cyclerun c ON c.id = looked.id
WHERE c.next_due_at <= now()
AND (c.lease_expires_at IS NULL
OR c.lease_expires_at <= now())
AND NOT EXISTS (SELECT 1
FROM governance_governancesetting s
JOIN governance_namespace n ON n.id = s.namespace_id
WHERE n.name = c.namespace
AND s.halt
AND (s.until IS NULL
OR s.until > now()))
AND NOT EXISTS (SELECT 1
FROM governance_stop p
WHERE p.namespace_id IS NULL
AND p.kind = 'pause'
AND p.ended_at IS NULL
AND (p.until IS NULL
OR p.until > now()))
AND c.resumes >= 2
AND NOT EXISTS (SELECT 1
FROM orbit_cyclerun h
WHERE h.lease_owner IS NOT NULL
AND h.lease_owner LIKE %(alone)s
AND h.lease_expires_at > now())
ORDER BY c.next_due_at, c.id
LIMIT 1
FOR NO KEY
UPDATE OF c SKIP LOCKED), taken AS (UPDATE orbit_cyclerun c
SET fencing_token = c.fencing_token + 1, lease_owner = %(owner)s, lease_expires_at = now() + %(seconds)s * interval '1 second', next_due_at = now() + %(seconds)s * interval '1 second', status = CASE WHEN c.status = 'pending' THEN 'running' ELSE c.status END, started_at = coalesce(c.started_at, clock_timestamp()), resumes = least(c.resumes + due.ran_out::int, 30000)
FROM due
WHERE c.id = due.id
RETURNING c.id, c.fencing_token, c.namespace, c.status, c.profile_id, c.run_profile_id, c.instruction_id, c.context, c.initiation_hash, CASE WHEN c.fencing_token = 1
AND octet_length(c.input) <= 262144 THEN c.input END, c.input_content_type, c.requeues, c.resumes, due.ran_out, c.takeover, c.traceparent)
SELECT edge.next_due_at, edge.id, taken.*
FROM (SELECT) AS one
LEFT
JOIN edge ON true
LEFT
JOIN taken ON true

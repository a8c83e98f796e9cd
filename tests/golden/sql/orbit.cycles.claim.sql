WITH front AS MATERIALIZED (SELECT c.id, c.lease_owner IS NOT NULL AS ran_out, oldest.next_due_at
FROM (SELECT c.id, c.next_due_at
FROM orbit_cyclerun c
WHERE (c.next_due_at, c.id) >= (%(since)s::timestamptz, %(since_id)s::uuid)
AND c.next_due_at <= now()
AND c.resumes < 2
AND NOT EXISTS (SELECT 1
FROM governance_stop p
WHERE p.namespace_id IS NULL
AND p.kind = 'pause'
AND p.ended_at IS NULL
AND (p.until IS NULL
OR p.until > now()))
ORDER BY c.next_due_at, c.id
LIMIT 32) AS oldest
JOIN orbit_cyclerun c ON c.id = oldest.id
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
AND c.resumes < 2
ORDER BY oldest.next_due_at, oldest.id
LIMIT %(limit)s
FOR NO KEY
UPDATE OF c SKIP LOCKED), edge AS MATERIALIZED (SELECT oldest.next_due_at, oldest.id
FROM (SELECT c.id, c.next_due_at
FROM orbit_cyclerun c
WHERE (c.next_due_at, c.id) >= (%(since)s::timestamptz, %(since_id)s::uuid)
AND c.next_due_at <= now()
AND c.resumes < 2
AND NOT EXISTS (SELECT 1
FROM governance_stop p
WHERE p.namespace_id IS NULL
AND p.kind = 'pause'
AND p.ended_at IS NULL
AND (p.until IS NULL
OR p.until > now()))
ORDER BY c.next_due_at, c.id OFFSET 32 - 1
LIMIT 1) AS oldest
WHERE (SELECT count(*)
FROM front) < %(limit)s), namespaces AS MATERIALIZED (SELECT s.namespace_id, n.name
FROM governance_governancesetting s
JOIN governance_namespace n ON n.id = s.namespace_id
WHERE EXISTS (SELECT 1
FROM edge)
AND NOT s.halt
AND s.namespace_id > %(after)s
ORDER BY s.namespace_id
LIMIT 100), heads AS MATERIALIZED (SELECT namespaces.name, oldest.next_due_at, oldest.id
FROM namespaces CROSS
JOIN LATERAL (SELECT c.id, c.next_due_at
FROM orbit_cyclerun c
WHERE c.namespace = namespaces.name
AND (c.next_due_at, c.id) >= (%(since)s::timestamptz, %(since_id)s::uuid)
AND c.next_due_at <= now()
AND c.resumes < 2
ORDER BY c.next_due_at, c.id
LIMIT 1) AS oldest
ORDER BY oldest.next_due_at, oldest.id
LIMIT %(limit)s), behind AS MATERIALIZED (SELECT c.id, c.lease_owner IS NOT NULL AS ran_out
FROM (SELECT oldest.id, oldest.next_due_at
FROM heads CROSS
JOIN LATERAL (SELECT c.id, c.next_due_at
FROM orbit_cyclerun c
WHERE c.namespace = heads.name
AND (c.next_due_at, c.id) >= (%(since)s::timestamptz, %(since_id)s::uuid)
AND c.next_due_at <= now()
AND c.resumes < 2
ORDER BY c.next_due_at, c.id
LIMIT %(limit)s) AS oldest
ORDER BY oldest.next_due_at, oldest.id
LIMIT 32) AS oldest
JOIN orbit_cyclerun c ON c.id = oldest.id
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
AND c.resumes < 2
AND c.id NOT IN (SELECT id
FROM front)
ORDER BY oldest.next_due_at, oldest.id
LIMIT %(limit)s - (SELECT count(*)
FROM front)
FOR NO KEY
UPDATE OF c SKIP LOCKED), due AS MATERIALIZED (SELECT id, ran_out
FROM front
UNION ALL
SELECT id, ran_out
FROM behind), taken AS (UPDATE orbit_cyclerun c
SET fencing_token = c.fencing_token + 1, lease_owner = %(owner)s, lease_expires_at = now() + %(seconds)s * interval '1 second', next_due_at = now() + %(seconds)s * interval '1 second', status = CASE WHEN c.status = 'pending' THEN 'running' ELSE c.status END, started_at = coalesce(c.started_at, clock_timestamp()), resumes = least(c.resumes + due.ran_out::int, 30000)
FROM due
WHERE c.id = due.id
RETURNING c.id, c.fencing_token, c.namespace, c.status, c.profile_id, c.run_profile_id, c.instruction_id, c.context, c.initiation_hash, CASE WHEN c.fencing_token = 1
AND octet_length(c.input) <= 262144 THEN c.input END, c.input_content_type, c.requeues, c.resumes, due.ran_out, c.takeover, c.traceparent), looked AS (SELECT first.next_due_at AS first_due, first.id AS first_id, edge.next_due_at AS edge_due, edge.id AS edge_id, now() - 2.0 * interval '1 second' AS settled, (SELECT max(namespace_id)
FROM namespaces HAVING count(*) = 100) AS after
FROM (SELECT) AS one
LEFT
JOIN (SELECT next_due_at, id
FROM front
ORDER BY next_due_at, id
LIMIT 1) AS first ON true
LEFT
JOIN edge ON true)
SELECT looked.*, taken.*
FROM looked
LEFT
JOIN taken ON true

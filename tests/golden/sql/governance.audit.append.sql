WITH RECURSIVE head AS MATERIALIZED (SELECT sequence, hash
FROM governance_audithead
WHERE id = 1
FOR NO KEY
UPDATE), drafts AS MATERIALIZED (SELECT *
FROM unnest(%(actors)s::text[], %(actions)s::text[], %(object_types)s::text[], %(object_ids)s::text[], %(namespaces)s::text[], %(befores)s::jsonb[], %(afters)s::jsonb[], %(reasons)s::text[], %(request_ids)s::text[], %(until_time)s::text[], %(until_id)s::text[], %(until_hash)s::text[], %(until_end)s::text[]) WITH ORDINALITY AS d (actor, action, object_type, object_id, namespace, before, after, reason, request_id, until_time, until_id, until_hash, until_end, n)), links (n, id, at, previous, hash) AS (SELECT 0::bigint, sequence, clock_timestamp(), ''::text, hash::text
FROM head
UNION ALL
SELECT d.n, l.id + 1, l.at, l.hash, encode(sha256(convert_to(d.until_time || to_char(l.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"') || d.until_id || (l.id + 1)::text || d.until_hash || l.hash || d.until_end, 'UTF8')), 'hex')
FROM links l
JOIN drafts d ON d.n = l.n + 1), entries AS (INSERT INTO governance_audittrailentry (id, at, actor, action, object_type, object_id, namespace, before, after, reason, request_id, previous_hash, hash)
SELECT l.id, l.at, d.actor, d.action, d.object_type, d.object_id, d.namespace, d.before, d.after, d.reason, d.request_id, l.previous, l.hash
FROM links l
JOIN drafts d ON d.n = l.n)
UPDATE governance_audithead h
SET sequence = last.id, hash = last.hash
FROM (SELECT id, hash
FROM links
ORDER BY n DESC
LIMIT 1) last
WHERE h.id = 1
RETURNING h.id

WITH given AS MATERIALIZED (SELECT x.id, x.token, x.n
FROM unnest(%(ids)s::text[], %(tokens)s::uuid[]) WITH ORDINALITY AS x(id, token, n)), locked AS MATERIALIZED (SELECT t.id, t.state, t.is_parent, t.lease_token
FROM orbit_conductortask t
WHERE t.id = ANY(%(ids)s::text[])
AND (%(namespaces)s::text[] IS NULL
OR t.namespace = ANY(%(namespaces)s::text[]))
ORDER BY t.id
FOR NO KEY
UPDATE), changed AS (UPDATE orbit_conductortask t
SET ready = true, attempt = t.attempt - %(undone)s::int, lease_token = NULL, lease_expires_at = NULL
FROM given g
WHERE t.id = g.id
AND t.id = ANY(ARRAY(SELECT l.id
FROM locked l))
AND t.lease_token = g.token
AND t.state = 'RUNNING'
AND t.lease_expires_at > now()
RETURNING t.id, t.state)
SELECT g.id, c.id IS NOT NULL, coalesce(c.state, l.state), l.is_parent, NULL::timestamptz, l.state <> 'RUNNING'
AND l.lease_token = g.token
FROM given g
LEFT
JOIN locked l ON l.id = g.id
LEFT
JOIN changed c ON c.id = g.id
ORDER BY g.n

-- Give back tasks whose lease is held. They stay RUNNING and are ready at once. Of a claim whose
-- worker never got the answer, `undone` is 1: it uses up no attempt.
-- params: ids text[], tokens uuid[], namespaces text[], undone int
WITH {{given}},
{{locked}},
changed AS (
    UPDATE orbit_conductortask t SET
        ready = true, attempt = t.attempt - %(undone)s::int,
        lease_token = NULL, lease_expires_at = NULL
    FROM given g
    WHERE {{held}}
    RETURNING t.id, t.state
)
SELECT g.id, c.id IS NOT NULL, coalesce(c.state, l.state), l.is_parent, NULL::timestamptz,
    l.state <> 'RUNNING' AND l.lease_token = g.token
FROM given g
LEFT JOIN locked l ON l.id = g.id
LEFT JOIN changed c ON c.id = g.id
ORDER BY g.n

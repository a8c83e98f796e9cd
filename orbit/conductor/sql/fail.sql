-- Fail tasks whose lease is held; those with attempts left are ready again.
-- params: ids text[], tokens uuid[], error text, namespaces text[]
WITH {{given}},
{{locked}},
changed AS (
    UPDATE orbit_conductortask t SET
        state = 'FAILED',
        ready = t.attempt < t.max_attempts,
        error = %(error)s,
        lease_expires_at = NULL,
        finished_at = CASE WHEN t.attempt < t.max_attempts THEN NULL ELSE clock_timestamp() END
    FROM given g
    WHERE {{held}}
    RETURNING t.*
),
{{events}}
SELECT g.id, c.id IS NOT NULL, coalesce(c.state, l.state), l.is_parent, NULL::timestamptz,
    l.state <> 'RUNNING' AND l.lease_token = g.token
FROM given g
LEFT JOIN locked l ON l.id = g.id
LEFT JOIN changed c ON c.id = g.id
ORDER BY g.n

-- End tasks whose lease is held, with their outputs.
-- params: ids text[], tokens uuid[], outputs text[], namespaces text[]
WITH {{given}},
{{locked}},
changed AS (
    UPDATE orbit_conductortask t SET
        state = 'SUCCEEDED',
        output = (%(outputs)s::text[])[g.n]::jsonb,
        error = NULL,
        lease_expires_at = NULL,
        finished_at = clock_timestamp()
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

-- Renew leases that are held.
-- params: ids text[], tokens uuid[], lease_seconds int, namespaces text[]
WITH {{given}},
{{locked}},
changed AS (
    UPDATE orbit_conductortask t SET
        lease_seconds = coalesce(%(lease_seconds)s::int, t.lease_seconds),
        lease_expires_at = clock_timestamp()
            + make_interval(secs => coalesce(%(lease_seconds)s::int, t.lease_seconds))
    FROM given g
    WHERE {{held}}
    RETURNING t.id, t.state, t.lease_expires_at
)
SELECT
    g.id, c.id IS NOT NULL, coalesce(c.state, l.state), l.is_parent, c.lease_expires_at,
    l.state <> 'RUNNING' AND l.lease_token = g.token
FROM given g
LEFT JOIN locked l ON l.id = g.id
LEFT JOIN changed c ON c.id = g.id
ORDER BY g.n

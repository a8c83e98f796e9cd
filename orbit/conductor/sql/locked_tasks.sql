-- The CTE that locks the tasks of a call that the caller sees, in order, so that two don't deadlock.
-- params: ids text[], namespaces text[]
locked AS MATERIALIZED (
    SELECT t.id, t.state, t.is_parent, t.lease_token
    FROM orbit_conductortask t
    WHERE t.id = ANY(%(ids)s::text[])
      AND (%(namespaces)s::text[] IS NULL OR t.namespace = ANY(%(namespaces)s::text[]))
    ORDER BY t.id
    FOR NO KEY UPDATE
)

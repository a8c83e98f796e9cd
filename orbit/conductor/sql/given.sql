-- The CTE of the tasks and tokens of a call, numbered.
-- params: ids text[], tokens uuid[]
given AS MATERIALIZED (
    SELECT x.id, x.token, x.n
    FROM unnest(%(ids)s::text[], %(tokens)s::uuid[]) WITH ORDINALITY AS x(id, token, n)
)

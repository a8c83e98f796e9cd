-- CTEs that lock ready tasks: of each namespace a share, then what is left of the others.
-- params: most int, namespaces text[]
waiting(namespace) AS (   -- jumps from one namespace to the next, however many tasks wait in each
    (SELECT t.namespace FROM orbit_conductortask t WHERE t.ready ORDER BY t.namespace LIMIT 1)
    UNION ALL
    SELECT (
        SELECT t.namespace
        FROM orbit_conductortask t
        WHERE t.ready AND t.namespace > w.namespace
        ORDER BY t.namespace
        LIMIT 1)
    FROM waiting w
    WHERE w.namespace IS NOT NULL
),
turns AS MATERIALIZED (   -- by chance, so that small claims are fair too
    SELECT w.namespace, random() AS turn, count(*) OVER () AS namespaces
    FROM waiting w
    WHERE w.namespace IS NOT NULL
      AND (%(namespaces)s::text[] IS NULL OR w.namespace = ANY(%(namespaces)s::text[]))
      AND {{gate_lets_start(w.namespace)}}
),
shares AS MATERIALIZED (
    SELECT t.*
    FROM (SELECT * FROM turns ORDER BY turn) AS n
    CROSS JOIN LATERAL (
        SELECT {{columns}}
        FROM orbit_conductortask t
        WHERE t.ready AND t.namespace = n.namespace
        ORDER BY t.priority DESC, t.id
        LIMIT greatest(1, %(most)s::int / n.namespaces)
        FOR NO KEY UPDATE SKIP LOCKED
    ) AS t
    LIMIT %(most)s::int
),
picked AS MATERIALIZED (
    SELECT * FROM shares
    UNION ALL
    (SELECT t.*
    FROM (SELECT * FROM turns WHERE namespaces > 1 ORDER BY turn) AS n
    CROSS JOIN LATERAL (
        SELECT {{columns}}
        FROM orbit_conductortask t
        WHERE t.ready AND t.namespace = n.namespace AND t.id NOT IN (SELECT s.id FROM shares s)
        ORDER BY t.priority DESC, t.id
        LIMIT %(most)s::int
        FOR NO KEY UPDATE SKIP LOCKED
    ) AS t
    LIMIT %(most)s::int - (SELECT count(*) FROM shares))
)

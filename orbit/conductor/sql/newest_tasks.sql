-- The newest tasks of the newest runs of some namespaces. Tasks have no index by namespace: fan-out
-- would pay for it.
-- params: namespaces text[], runs int, tasks int
SELECT t.id
FROM (
    SELECT newest.id
    FROM unnest(%(namespaces)s::text[]) AS n(name)
    CROSS JOIN LATERAL (
        SELECT r.id
        FROM orbit_conductorrun r
        WHERE r.namespace = n.name
        ORDER BY r.id DESC
        LIMIT %(runs)s
    ) AS newest
    ORDER BY newest.id DESC
    LIMIT %(runs)s
) AS r
CROSS JOIN LATERAL (
    SELECT t.id
    FROM orbit_conductortask t
    WHERE t.run_id = r.id
    ORDER BY t.id DESC
    LIMIT %(tasks)s
) AS t

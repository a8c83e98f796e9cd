-- A recursive CTE: the namespaces of parents that fan-out has to look at. It jumps from one to the
-- next, however many parents wait in each; last comes a null.
waiting(namespace) AS (
    (SELECT p.namespace
    FROM orbit_conductorparent p
    WHERE {{to_fan_out(p)}}
    ORDER BY p.namespace
    LIMIT 1)
    UNION ALL
    SELECT (
        SELECT p.namespace
        FROM orbit_conductorparent p
        WHERE {{to_fan_out(p)}} AND p.namespace > w.namespace
        ORDER BY p.namespace
        LIMIT 1)
    FROM waiting w
    WHERE w.namespace IS NOT NULL
)

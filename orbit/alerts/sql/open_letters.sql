-- Open dead letters by endpoint and namespace, of each endpoint the newest ones.
-- params: per_endpoint int, most int
WITH RECURSIVE endpoints AS (          -- one index look-up for each endpoint, not for each letter
    (SELECT endpoint_key
     FROM orbit_deadletterdispatch
     WHERE status = 'open'
     ORDER BY endpoint_key
     LIMIT 1)
    UNION ALL
    SELECT (
        SELECT d.endpoint_key
        FROM orbit_deadletterdispatch d
        WHERE d.status = 'open' AND d.endpoint_key > e.endpoint_key
        ORDER BY d.endpoint_key
        LIMIT 1)
    FROM endpoints e
    WHERE e.endpoint_key IS NOT NULL
)
SELECT e.endpoint_key, l.namespace, count(*), max(l.created_at), max(l.position)
FROM (SELECT endpoint_key FROM endpoints WHERE endpoint_key IS NOT NULL LIMIT %(most)s) e
CROSS JOIN LATERAL (
    SELECT d.namespace, d.created_at, row_number() OVER () AS position
    FROM orbit_deadletterdispatch d
    WHERE d.status = 'open' AND d.endpoint_key = e.endpoint_key
    ORDER BY d.id DESC
    LIMIT %(per_endpoint)s
) l
GROUP BY e.endpoint_key, l.namespace
ORDER BY max(l.created_at) DESC
LIMIT %(most)s

WITH newest AS MATERIALIZED (SELECT l.id, l.error_group, l.namespace, l.created_at
FROM orbit_deadletterdispatch l
WHERE (%(status)s::text IS NULL
OR l.status = %(status)s)
AND (%(scope)s::text[] IS NULL
OR l.namespace = ANY(%(scope)s::text[]))
AND (%(namespace)s::text IS NULL
OR l.namespace = %(namespace)s)
AND (%(endpoint_key)s::text IS NULL
OR l.endpoint_key = %(endpoint_key)s)
ORDER BY l.id DESC
LIMIT %(counted)s), cells AS MATERIALIZED (SELECT error_group, namespace, CASE WHEN created_at > now() - make_interval(hours => %(hours)s) THEN greatest(0, floor(extract(epoch
FROM now() - created_at) / 3600))::int END AS hour, count(*) AS letters, min(created_at) AS first_at, max(created_at) AS last_at, max(id::text COLLATE "C") AS newest_id
FROM newest
GROUP BY 1, 2, 3), largest AS (SELECT error_group, sum(letters)::int AS letters, array_agg(DISTINCT namespace) AS namespaces, min(first_at) AS first_at, max(last_at) AS last_at, max(newest_id)::uuid AS newest_id, (sum(sum(letters)) OVER ())::int AS all_letters, (count(*) OVER ())::int AS all_groups
FROM cells
GROUP BY error_group
ORDER BY 2 DESC, 1
LIMIT %(limit)s OFFSET %(offset)s)
SELECT g.error_group, e.endpoint_key, e.reason, e.status_code, e.error_pattern, g.letters, g.namespaces, g.first_at, g.last_at, g.newest_id, (SELECT array_agg(ARRAY[c.hour, c.letters])
FROM (SELECT hour, sum(letters)::int AS letters
FROM cells
WHERE cells.error_group = g.error_group
AND hour IS NOT NULL
GROUP BY hour) c), (SELECT max(r.resolved_at)
FROM unnest(g.namespaces[1:20]) AS n(name) CROSS
JOIN LATERAL (SELECT l.resolved_at
FROM orbit_deadletterdispatch l
WHERE l.error_group = g.error_group
AND l.namespace = n.name
AND l.status = 'requeued'
ORDER BY l.resolved_at DESC
LIMIT 1) r), (last_at > now() - interval '10 minutes'
AND last_at > first_at + interval '1 minute'), g.all_letters, g.all_groups
FROM largest g
JOIN orbit_deadletterdispatch e ON e.id = g.newest_id
ORDER BY g.letters DESC, g.error_group

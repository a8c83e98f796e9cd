WITH newest AS MATERIALIZED (SELECT l.id, l.error_group, l.endpoint_key, l.reason, l.status_code, l.error_pattern, l.namespace, l.created_at
FROM orbit_deadletterdispatch l
WHERE l.status = 'open'
AND (%(scope)s::text[] IS NULL
OR l.namespace = ANY(%(scope)s::text[]))
ORDER BY l.id DESC
LIMIT %(counted)s)
SELECT error_group, endpoint_key, reason, status_code, error_pattern, count(*), count(DISTINCT namespace), min(created_at), max(created_at), (array_agg(id
ORDER BY id DESC))[1]
FROM newest
GROUP BY error_group, endpoint_key, reason, status_code, error_pattern
ORDER BY count(*) DESC, error_group
LIMIT %(limit)s OFFSET %(offset)s

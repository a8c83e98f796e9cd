SELECT l.id, l.status, l.namespace, l.endpoint_key
FROM orbit_deadletterdispatch l
WHERE l.id = ANY(%(ids)s::uuid[])
AND (%(scope)s::text[] IS NULL
OR l.namespace = ANY(%(scope)s::text[]))
ORDER BY l.id
FOR NO KEY
UPDATE

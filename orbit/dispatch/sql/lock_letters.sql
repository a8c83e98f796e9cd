-- Lock dead letters until the slice commits.
-- params: ids uuid[], scope text[]
SELECT l.id, l.status, l.namespace, l.endpoint_key
FROM orbit_deadletterdispatch l
WHERE l.id = ANY(%(ids)s::uuid[])
  AND (%(scope)s::text[] IS NULL OR l.namespace = ANY(%(scope)s::text[]))
ORDER BY l.id   -- one order for all slices, against deadlocks
FOR NO KEY UPDATE

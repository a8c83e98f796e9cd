SELECT c.oid, c.relname, c.relkind = 'S' AS sequence, coalesce((SELECT r.relname
FROM pg_partition_ancestors(c.oid) AS a
JOIN pg_class AS r ON r.oid = a.relid
WHERE r.relname = ANY(%(append_only)s)
LIMIT 1), c.relname) = ANY(%(append_only)s) AS append_only
FROM pg_class AS c
WHERE c.relnamespace = %(schema)s::regnamespace
AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
AND pg_has_role(c.relowner, 'USAGE')
ORDER BY c.relname

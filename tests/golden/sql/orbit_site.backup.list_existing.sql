SELECT relname
FROM pg_class
WHERE relnamespace = %(schema)s::regnamespace
AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
AND relname = ANY(%(names)s)
ORDER BY 1

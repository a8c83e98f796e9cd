SELECT relname
FROM pg_class
WHERE relnamespace = %s::regnamespace
AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
AND relname = ANY(%s)
ORDER BY 1

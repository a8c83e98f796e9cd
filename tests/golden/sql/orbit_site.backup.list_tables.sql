SELECT relname
FROM pg_class
WHERE relnamespace = %(schema)s::regnamespace
AND relkind IN ('r', 'p')
AND NOT relispartition
ORDER BY relname

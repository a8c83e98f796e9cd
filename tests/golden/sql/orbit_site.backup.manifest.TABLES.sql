SELECT relname
FROM pg_class
WHERE relnamespace = %s::regnamespace
AND relkind IN ('r', 'p')
AND NOT relispartition
ORDER BY relname

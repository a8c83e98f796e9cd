SELECT relname
FROM pg_class
WHERE relnamespace = %s::regnamespace
AND relkind IN ('r', 'p')
AND NOT relispartition
AND relname ~ %s
AND pg_has_role(relowner, 'USAGE')
ORDER BY 1

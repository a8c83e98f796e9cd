SELECT relname
FROM pg_class
WHERE relnamespace = %(schema)s::regnamespace
AND relkind IN ('r', 'p')
AND NOT relispartition
AND relname ~ %(pattern)s
AND pg_has_role(relowner, 'USAGE')
ORDER BY 1

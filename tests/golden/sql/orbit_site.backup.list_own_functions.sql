SELECT oid::regprocedure::text
FROM pg_proc
WHERE pronamespace = %(schema)s::regnamespace
AND prokind = 'f'
AND proname ~ %(pattern)s
AND pg_has_role(proowner, 'USAGE')
ORDER BY 1

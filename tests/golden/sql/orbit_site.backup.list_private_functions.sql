SELECT oid::regprocedure::text
FROM pg_proc
WHERE pronamespace = %(schema)s::regnamespace
AND prokind = 'f'
AND NOT has_function_privilege('public', oid, 'EXECUTE')
ORDER BY 1

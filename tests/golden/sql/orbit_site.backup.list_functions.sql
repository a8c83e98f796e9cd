SELECT oid::regprocedure::text
FROM pg_proc
WHERE pronamespace = %(schema)s::regnamespace
AND prokind = 'f'

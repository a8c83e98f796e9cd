SELECT oid::regprocedure::text
FROM pg_proc
WHERE pronamespace = %s::regnamespace
AND prokind = 'f'
AND proname ~ %s
AND pg_has_role(proowner, 'USAGE')
ORDER BY 1

-- The functions of the schema with a name like ours that we own.
-- params: schema text, pattern text
SELECT oid::regprocedure::text
FROM pg_proc
WHERE pronamespace = %(schema)s::regnamespace
  AND prokind = 'f'
  AND proname ~ %(pattern)s
  AND pg_has_role(proowner, 'USAGE')
ORDER BY 1

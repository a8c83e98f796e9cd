-- The functions of the schema, quoted, as list_private_functions.sql names them.
-- params: schema text
SELECT oid::regprocedure::text
FROM pg_proc
WHERE pronamespace = %(schema)s::regnamespace
  AND prokind = 'f'

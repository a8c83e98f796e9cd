-- The tables of the schema. Rows of a partition count with the table that it belongs to.
-- params: schema text
SELECT relname
FROM pg_class
WHERE relnamespace = %(schema)s::regnamespace
  AND relkind IN ('r', 'p')
  AND NOT relispartition
ORDER BY relname

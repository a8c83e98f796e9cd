SELECT c.relname
FROM pg_inherits i
JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = to_regclass(%s)
AND NOT EXISTS (SELECT 1
FROM pg_inherits ii
JOIN pg_index x ON x.indexrelid = ii.inhrelid
WHERE ii.inhparent = to_regclass(%s)
AND x.indrelid = i.inhrelid)
ORDER BY c.relname

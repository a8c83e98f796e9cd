SELECT 1
FROM pg_index
WHERE indexrelid = to_regclass(%s)
AND NOT indisvalid

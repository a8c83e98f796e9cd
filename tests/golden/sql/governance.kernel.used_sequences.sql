SELECT sequencename
FROM pg_sequences
WHERE schemaname = current_schema()
AND last_value >= min_value + (max_value - min_value) * %(share)s
ORDER BY sequencename

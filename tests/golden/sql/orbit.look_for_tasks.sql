SELECT (SELECT pg_is_in_recovery()
OR current_setting('transaction_read_only')::bool), EXISTS (SELECT 1
FROM unnest(%(keys)s::text[]) AS kind(key) CROSS
JOIN LATERAL (SELECT 1
FROM django_q_ormq
WHERE key = kind.key
AND lock <= now()
LIMIT 1) AS ready)

SELECT (SELECT pg_is_in_recovery()
OR current_setting('transaction_read_only')::bool), (SELECT extract(epoch
FROM min(first.lock))::float8 - extract(epoch
FROM now())::float8
FROM unnest(%(keys)s::text[]) AS kind(key) CROSS
JOIN LATERAL (SELECT lock
FROM django_q_ormq
WHERE key = kind.key
ORDER BY lock
LIMIT 1) AS first)

INSERT INTO orbit_skipnotice AS n (namespace, written_at, suppressed)
SELECT x.namespace, clock_timestamp(), x.number - 1
FROM unnest(%(namespaces)s::text[], %(numbers)s::int[]) AS x(namespace, number)
ORDER BY x.namespace
ON CONFLICT (namespace) DO
UPDATE
SET carried = n.suppressed, suppressed = CASE WHEN n.written_at <= clock_timestamp() - interval '1 minute' THEN excluded.suppressed ELSE n.suppressed + excluded.suppressed + 1 END, written_at = CASE WHEN n.written_at <= clock_timestamp() - interval '1 minute' THEN clock_timestamp() ELSE n.written_at END
RETURNING namespace, suppressed, carried

INSERT INTO orbit_skipnotice AS n (namespace, written_at, suppressed)
SELECT %(notice)s, clock_timestamp(), 0
FROM governance_namespace
WHERE name = %(namespace)s
ON CONFLICT (namespace) DO
UPDATE
SET carried = n.suppressed, suppressed = CASE WHEN n.written_at <= clock_timestamp() - interval '1 minute' THEN excluded.suppressed ELSE n.suppressed + excluded.suppressed + 1 END, written_at = CASE WHEN n.written_at <= clock_timestamp() - interval '1 minute' THEN clock_timestamp() ELSE n.written_at END
RETURNING namespace, suppressed, carried

-- Add to the counts of skipped triggers. A namespace has a record due once a minute; then
-- `suppressed` is one less than came just now, because one of them is the record's own.
ON CONFLICT (namespace) DO UPDATE SET
    carried = n.suppressed,   -- as it was: RETURNING shows new values only
    suppressed = CASE
        WHEN n.written_at <= clock_timestamp() - interval '1 minute' THEN excluded.suppressed
        ELSE n.suppressed + excluded.suppressed + 1
    END,
    written_at = CASE
        WHEN n.written_at <= clock_timestamp() - interval '1 minute' THEN clock_timestamp()
        ELSE n.written_at
    END
RETURNING namespace, suppressed, carried

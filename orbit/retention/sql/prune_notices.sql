-- Delete the next notices of skipped triggers whose namespace has skipped none for long.
-- params: until timestamptz, after text, limit int
WITH batch AS MATERIALIZED (
    SELECT namespace
    FROM orbit_skipnotice
    WHERE namespace > %(after)s AND written_at <= %(until)s::timestamptz
    ORDER BY namespace
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
),
gone AS (
    DELETE FROM orbit_skipnotice WHERE namespace IN (SELECT namespace FROM batch) RETURNING 1
)
SELECT (SELECT count(*) FROM gone), (SELECT max(namespace) FROM batch)

-- Count the jobs that are in flight or queued by endpoint, up to a bound.
-- params: most int
SELECT
    endpoint_key,
    count(*) FILTER (WHERE status = 'sending'),
    count(*) FILTER (WHERE status = 'pending')
FROM (
    SELECT endpoint_key, status
    FROM orbit_dispatchjob
    WHERE status IN ('pending', 'sending')
    LIMIT %(most)s
) j
GROUP BY endpoint_key

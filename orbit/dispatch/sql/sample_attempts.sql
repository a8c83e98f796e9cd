-- Count and time the attempts of 24 hours by endpoint, from the newest ones of each hour: a bound,
-- however many there are.
-- params: per_hour int
WITH hours AS (
    SELECT
        ago,
        orbit_uuid_floor(now() - (ago + 1) * interval '1 hour') AS low,
        orbit_uuid_floor(now() - ago * interval '1 hour') AS high
    FROM generate_series(0, 23) AS ago
),
sample AS MATERIALIZED (
    SELECT hours.ago, r.job_id, r.status, r.latency_ms
    FROM hours
    CROSS JOIN LATERAL (   -- a range of the primary key
        SELECT x.job_id, x.status, x.latency_ms
        FROM orbit_deliveryreceipt x
        WHERE x.id >= hours.low
          AND x.id < hours.high
        ORDER BY x.id DESC
        LIMIT %(per_hour)s
    ) r
    WHERE r.status IN ('delivered', 'failed', 'unknown')
)
SELECT
    j.endpoint_key,
    count(*) FILTER (WHERE ago = 0),
    count(*) FILTER (WHERE ago = 0 AND s.status = 'delivered'),
    count(*),
    count(*) FILTER (WHERE s.status = 'delivered'),
    percentile_disc(0.5) WITHIN GROUP (ORDER BY s.latency_ms),
    percentile_disc(0.95) WITHIN GROUP (ORDER BY s.latency_ms)
FROM sample s
JOIN orbit_dispatchjob j ON j.id = s.job_id
GROUP BY j.endpoint_key

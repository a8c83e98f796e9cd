SELECT 'all', width_bucket(latency_ms / 1000, %(buckets)s::float8[]) AS bucket, count(*), sum(latency_ms / 1000)
FROM (SELECT latency_ms
FROM orbit_deliveryreceipt
ORDER BY id DESC
LIMIT 5000) AS newest
WHERE latency_ms IS NOT NULL
GROUP BY 2

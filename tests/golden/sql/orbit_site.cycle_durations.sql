SELECT 'all', width_bucket(seconds, %(buckets)s::float8[]) AS bucket, count(*), sum(seconds)
FROM (SELECT extract(epoch
FROM finished_at - created_at)::float8 AS seconds
FROM orbit_cyclerun
ORDER BY id DESC
LIMIT 1000) AS newest
WHERE seconds IS NOT NULL
GROUP BY 2

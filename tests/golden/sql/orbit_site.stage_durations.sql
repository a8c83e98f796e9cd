WITH newest AS MATERIALIZED (SELECT id
FROM orbit_cyclerun
ORDER BY id DESC
LIMIT 1000), ended AS (SELECT r.stage, (r.data ->> 'duration_ms')::float8 / 1000 AS seconds
FROM newest
JOIN orbit_executionrecord r ON r.partition_key = newest.id
WHERE r.event = 'stage_finished'
AND r.data ? 'duration_ms')
SELECT stage, width_bucket(seconds, %(buckets)s::float8[]) AS bucket, count(*), sum(seconds)
FROM ended
GROUP BY 1, 2

SELECT namespace, day, sum(success)::bigint AS success, sum(partial_success)::bigint AS partial_success, sum(failed)::bigint AS failed, sum(cancelled)::bigint AS cancelled
FROM (SELECT namespace, day, success, partial_success, failed, cancelled
FROM orbit_cycleday
WHERE day > (now() AT TIME ZONE 'UTC')::date - 14
AND (%(scope)s::text[] IS NULL
OR namespace = ANY(%(scope)s::text[]))
UNION ALL
SELECT namespace, (finished_at AT TIME ZONE 'UTC')::date, (status = 'success')::int, (status = 'partial_success')::int, (status = 'failed')::int, (status = 'cancelled')::int
FROM (SELECT namespace, finished_at, status
FROM orbit_cyclerun
WHERE (finished_at, id) > (coalesce((SELECT at
FROM orbit_rollupmark
WHERE kind = 'cycles'), now() - interval '14 days'), coalesce((SELECT after
FROM orbit_rollupmark
WHERE kind = 'cycles'), orbit_uuid_floor(now() - interval '14 days')))
AND finished_at IS NOT NULL
ORDER BY finished_at, id
LIMIT 20000) AS c
WHERE %(scope)s::text[] IS NULL
OR namespace = ANY(%(scope)s::text[])) AS counted
WHERE day > (now() AT TIME ZONE 'UTC')::date - 14
GROUP BY namespace, day
ORDER BY namespace, day

SELECT pg_advisory_xact_lock_shared(hashtext('telemetry.day.' || current_schema()), day.value - date '2000-01-01')
FROM (SELECT unnest(%(days)s::date[]) AS value
ORDER BY 1) AS day

SELECT 1000 * avg(greatest(0, extract(epoch
FROM updated_utc - last_event_ts)))
FROM telemetry_taskprojection
WHERE updated_utc > %(since)s
AND status_rank BETWEEN 0
AND 3
AND status <> 'orphaned'

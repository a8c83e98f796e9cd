SELECT occurred_at, id
FROM telemetry_staging
ORDER BY ordinal DESC
LIMIT 1

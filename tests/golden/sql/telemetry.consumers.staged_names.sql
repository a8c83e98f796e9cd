SELECT DISTINCT name
FROM telemetry_staging

-- The names of the events in the staging table.
SELECT DISTINCT name FROM telemetry_staging

-- Empty the staging table within a transaction. Rows that DELETE leaves would be read by each scan.
TRUNCATE telemetry_staging

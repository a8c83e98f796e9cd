INSERT INTO telemetry_nightlyrun (job, day, operation_run_id)
VALUES (%(job)s, (now() AT TIME ZONE 'UTC')::date, %(run)s)
ON CONFLICT DO NOTHING
RETURNING id

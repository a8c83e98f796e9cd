-- Wait for a slice whose process is gone, but whose statement is still running.
SELECT pg_advisory_xact_lock(hashtext('telemetry.reconcile.' || current_schema()))

SELECT pg_advisory_xact_lock(hashtext('telemetry.reconcile.' || current_schema()))

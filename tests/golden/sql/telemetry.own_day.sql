SELECT pg_advisory_xact_lock(hashtext('telemetry.day.' || current_schema()), %(day)s::date - date '2000-01-01')

SELECT pg_advisory_xact_lock(hashtext('orbit.schedules')), coalesce(%(now)s, now())

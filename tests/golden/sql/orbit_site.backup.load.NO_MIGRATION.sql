SELECT pg_try_advisory_xact_lock(hashtext('orbit.migrate'), hashtext(%s))

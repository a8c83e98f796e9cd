SELECT pg_try_advisory_lock_shared(hashtext('orbit.migrate'), hashtext(%s))

SELECT pg_try_advisory_xact_lock(hashtext('telemetry.outbox'), hashtext(current_schema())), set_config('idle_in_transaction_session_timeout', '60s', true)

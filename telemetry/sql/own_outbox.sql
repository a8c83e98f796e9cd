-- Try to be the one who forwards, until the end of the transaction.
-- The transaction idles while telemetry's database stores; it holds no row and no snapshot then.
SELECT
    pg_try_advisory_xact_lock(hashtext('telemetry.outbox'), hashtext(current_schema())),
    set_config('idle_in_transaction_session_timeout', '60s', true)

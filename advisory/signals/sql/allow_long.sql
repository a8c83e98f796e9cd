-- Telemetry of a month takes its time: a longer limit, for this transaction.
SELECT
    set_config('statement_timeout', '600s', true),
    set_config('idle_in_transaction_session_timeout', '600s', true)

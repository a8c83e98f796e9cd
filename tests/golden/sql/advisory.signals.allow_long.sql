SELECT set_config('statement_timeout', '600s', true), set_config('idle_in_transaction_session_timeout', '600s', true)

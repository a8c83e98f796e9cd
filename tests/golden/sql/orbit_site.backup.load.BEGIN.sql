SET LOCAL idle_in_transaction_session_timeout = 0;
SET LOCAL lock_timeout = '10s'

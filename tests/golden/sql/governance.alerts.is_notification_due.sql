SELECT (SELECT pg_is_in_recovery()
OR current_setting('transaction_read_only')::bool), EXISTS (SELECT 1
FROM governance_notification
WHERE status = 'pending'
AND next_attempt_at <= statement_timestamp())

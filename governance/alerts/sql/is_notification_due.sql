-- Whether a message may be due (of a channel that had its turn, too), and whether this server accepts
-- no writes.
SELECT EXISTS (
    SELECT 1
    FROM governance_notification
    WHERE status = 'pending'
      AND next_attempt_at <= statement_timestamp()
),
pg_is_in_recovery() OR current_setting('transaction_read_only')::bool

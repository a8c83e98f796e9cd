-- Whether a message may be due: of a channel that had its turn, too.
SELECT EXISTS (
    SELECT 1
    FROM governance_notification
    WHERE status = 'pending'
      AND next_attempt_at <= statement_timestamp()
)

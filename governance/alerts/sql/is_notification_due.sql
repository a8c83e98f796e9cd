-- Whether the server accepts no writes, and whether a message may be due: of a channel that had its
-- turn, too.
SELECT
    ({{is_read_only}}),
    EXISTS (
        SELECT 1
        FROM governance_notification
        WHERE status = 'pending'
          AND next_attempt_at <= statement_timestamp()
    )

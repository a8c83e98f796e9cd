SELECT EXISTS (SELECT 1
FROM governance_notification
WHERE status = 'pending'
AND next_attempt_at <= statement_timestamp())

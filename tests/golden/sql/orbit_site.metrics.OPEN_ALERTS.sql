SELECT count(*)
FROM governance_alert
WHERE resolved_at IS NULL

UPDATE governance_periodicwork
SET next_due_at = now()
WHERE type = %(type)s
AND next_due_at > now()
AND NOT EXISTS (SELECT 1
FROM governance_operationrun r
WHERE r.type = %(type)s
AND r.id > %(since)s)

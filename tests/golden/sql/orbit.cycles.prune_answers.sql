DELETE
FROM governance_idempotentrequest
WHERE id IN (SELECT id
FROM governance_idempotentrequest
WHERE created_at < now() - interval '24 hours'
ORDER BY created_at
LIMIT %(most)s)

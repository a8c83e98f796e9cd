SELECT sequence, hash
FROM governance_audithead
WHERE id = 1

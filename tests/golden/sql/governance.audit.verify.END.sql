SELECT sequence, hash, (SELECT coalesce(max(id), 0)
FROM governance_audittrailentry)
FROM governance_audithead
WHERE id = 1

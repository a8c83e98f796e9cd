SELECT hash
FROM governance_audittrailentry
WHERE id = %s

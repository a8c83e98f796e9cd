SELECT h.sequence, h.hash, clock_timestamp(), (SELECT external_id
FROM governance_namespace
WHERE name = 'default')
FROM governance_audithead h
WHERE h.id = 1

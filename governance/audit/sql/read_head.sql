-- The end of the chain, with the id of this installation: the default namespace's, which backups
-- keep.
SELECT
    h.sequence, h.hash, clock_timestamp(),
    (SELECT external_id FROM governance_namespace WHERE name = 'default')
FROM governance_audithead h
WHERE h.id = 1

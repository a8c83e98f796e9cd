SELECT 1
FROM governance_governancesetting
WHERE namespace_id = (SELECT namespace_id
FROM governance_stop
WHERE id = %(stop)s)
FOR NO KEY
UPDATE

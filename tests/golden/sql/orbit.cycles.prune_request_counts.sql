DELETE
FROM governance_requestcount
WHERE caller IN (SELECT caller
FROM governance_requestcount
WHERE minute < now() - interval '1 hour'
LIMIT %(most)s
FOR
UPDATE SKIP LOCKED)

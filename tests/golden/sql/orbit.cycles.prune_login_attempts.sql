DELETE
FROM governance_loginattempt
WHERE id IN (SELECT id
FROM governance_loginattempt
WHERE ends_at < now() - interval '1 hour'
ORDER BY ends_at
LIMIT %(most)s
FOR
UPDATE SKIP LOCKED)

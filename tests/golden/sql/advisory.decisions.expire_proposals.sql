WITH due AS MATERIALIZED (SELECT p.id
FROM advisory_strategyproposal p
WHERE p.state = 'pending'
AND p.expires_at <= now()
ORDER BY p.expires_at
LIMIT %(most)s
FOR
UPDATE SKIP LOCKED)
UPDATE advisory_strategyproposal p
SET state = 'expired', ended_at = now(), end_reason = %(reason)s
FROM due
WHERE p.id = due.id
RETURNING p.id, p.namespace, p.end_reason

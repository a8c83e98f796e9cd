SELECT id
FROM governance_operationrun
WHERE status IN ('queued', 'running')
AND (next_due_at <= now() - %(late)s * interval '1 second'
OR next_due_at > now() + 600.0 * interval '1 second')
ORDER BY next_due_at
LIMIT %(most)s

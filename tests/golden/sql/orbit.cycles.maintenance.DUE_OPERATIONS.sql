SELECT id
FROM governance_operationrun
WHERE status IN ('queued', 'running')
AND next_due_at <= now() - %s * interval '1 second'
ORDER BY next_due_at
LIMIT %s

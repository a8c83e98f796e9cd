SELECT id, CASE WHEN at >= '0001-01-02'
AND at < '9999-12-31' THEN at END, actor, action, object_type, object_id, namespace, before::text, after::text, reason, request_id, previous_hash, hash
FROM governance_audittrailentry
WHERE id > %(after)s
AND id <= %(last)s
ORDER BY id
LIMIT %(limit)s

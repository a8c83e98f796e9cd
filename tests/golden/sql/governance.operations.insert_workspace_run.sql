INSERT INTO governance_operationrun (id, namespace_id, scope, type, identity_hash, status, context, initiator, reason, next_due_at)
VALUES (%(id)s, %(namespace_id)s, %(scope)s, %(type)s, %(identity)s, 'queued', %(context)s::jsonb, %(initiator)s, %(reason)s, clock_timestamp())
ON CONFLICT (type, identity_hash)
WHERE status IN ('queued', 'running')
AND namespace_id IS NULL DO NOTHING
RETURNING id

-- Insert a run, unless one of its identity is active: two partial unique indexes decide that. If
-- another transaction is inserting the same run, wait for its end.
-- params: id uuid, namespace_id bigint, scope text[], type text, identity text, context text, initiator text, reason text
INSERT INTO governance_operationrun (
    id, namespace_id, scope, type, identity_hash, status, context, initiator, reason, next_due_at
)
VALUES (
    %(id)s, %(namespace_id)s, %(scope)s, %(type)s, %(identity)s, 'queued', %(context)s::jsonb,
    %(initiator)s, %(reason)s, clock_timestamp()
)
ON CONFLICT DO NOTHING
RETURNING id

-- Insert a run. The statement around it adds ON CONFLICT with the unique index of its kind.
-- params: id uuid, namespace_id bigint, scope text[], type text, identity text, context text
-- params: initiator text, reason text
INSERT INTO governance_operationrun (
    id, namespace_id, scope, type, identity_hash, status, context, initiator, reason, next_due_at
)
VALUES (
    %(id)s, %(namespace_id)s, %(scope)s, %(type)s, %(identity)s, 'queued', %(context)s::jsonb,
    %(initiator)s, %(reason)s, clock_timestamp()
)

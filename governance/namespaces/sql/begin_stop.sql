-- Begin a stop of a namespace, or of the workspace (null), unless one of its kind is open.
-- params: namespace bigint, kind text, reason text, by text, until timestamptz
INSERT INTO governance_stop (namespace_id, kind, reason, started_by, since, until)
VALUES (%(namespace)s, %(kind)s, %(reason)s, %(by)s, clock_timestamp(), %(until)s)
ON CONFLICT (namespace_id, kind) WHERE ended_at IS NULL DO NOTHING
RETURNING id

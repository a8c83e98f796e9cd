INSERT INTO governance_stop (namespace_id, kind, reason, started_by, since, until)
VALUES (%(namespace)s, %(kind)s, %(reason)s, %(by)s, clock_timestamp(), %(until)s)
ON CONFLICT (namespace_id, kind)
WHERE ended_at IS NULL DO NOTHING
RETURNING id

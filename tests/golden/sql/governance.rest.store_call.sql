INSERT INTO governance_idempotentrequest AS kept (owner_id, route, key, body_sha256, status, answer)
VALUES (%(owner)s, %(route)s, %(key)s, %(sha256)s, %(status)s, %(answer)s::jsonb)
ON CONFLICT (owner_id, route, key) DO
UPDATE
SET status = excluded.status, answer = excluded.answer
WHERE kept.status = 0
AND kept.answer ->> 'call' = %(call)s
RETURNING id

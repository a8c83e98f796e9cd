INSERT INTO governance_idempotentrequest AS kept (owner_id, route, key, body_sha256, status, answer)
VALUES (%(owner)s, %(route)s, %(key)s, %(sha256)s, 0, jsonb_build_object('call', %(call)s::text))
ON CONFLICT (owner_id, route, key) DO
UPDATE
SET body_sha256 = excluded.body_sha256, status = 0, answer = excluded.answer, created_at = now()
WHERE kept.created_at < now() - interval '24 hours'

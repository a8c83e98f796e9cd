-- Store the answer under an Idempotency-Key that this transaction has taken.
-- params: owner bigint, route text, key text, status int, answer text
UPDATE governance_idempotentrequest
SET status = %(status)s, answer = %(answer)s::jsonb
WHERE owner_id = %(owner)s
  AND route = %(route)s
  AND key = %(key)s

-- Give up an Idempotency-Key that this transaction has taken.
-- params: owner bigint, route text, key text
DELETE FROM governance_idempotentrequest
WHERE owner_id = %(owner)s
  AND route = %(route)s
  AND key = %(key)s
  AND status = 0   -- an equal request may have stored its answer

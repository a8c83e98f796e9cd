-- Hold the Idempotency-Key of a call that hasn't ended, until this transaction does.
-- params: owner bigint, route text, key text, call text
SELECT id
FROM governance_idempotentrequest
WHERE owner_id = %(owner)s
  AND route = %(route)s
  AND key = %(key)s
  AND status = 0
  AND answer ->> 'call' = %(call)s
FOR NO KEY UPDATE

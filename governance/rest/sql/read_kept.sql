-- What earlier tries of a call have kept.
-- params: owner bigint, route text, key text, call text
SELECT coalesce(answer -> 'kept', '{}')
FROM governance_idempotentrequest
WHERE owner_id = %(owner)s
  AND route = %(route)s
  AND key = %(key)s
  AND status = 0
  AND answer ->> 'call' = %(call)s

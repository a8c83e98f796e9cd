UPDATE governance_idempotentrequest
SET status = %(status)s, answer = %(answer)s::jsonb
WHERE owner_id = %(owner)s
AND route = %(route)s
AND key = %(key)s

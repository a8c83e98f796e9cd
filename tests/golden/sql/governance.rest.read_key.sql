SELECT body_sha256, answer
FROM governance_idempotentrequest
WHERE owner_id = %(owner)s
AND route = %(route)s
AND key = %(key)s

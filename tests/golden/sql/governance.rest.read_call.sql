SELECT body_sha256, CASE WHEN status = 0 THEN (answer ->> 'call')::uuid ELSE '00000000-0000-0000-0000-000000000000'::uuid END, CASE WHEN status <> 0 THEN answer END
FROM governance_idempotentrequest
WHERE owner_id = %(owner)s
AND route = %(route)s
AND key = %(key)s

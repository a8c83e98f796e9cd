UPDATE governance_idempotentrequest
SET answer = answer || jsonb_build_object('kept', coalesce(answer -> 'kept', '{}') || %(kept)s::jsonb)
WHERE owner_id = %(owner)s
AND route = %(route)s
AND key = %(key)s
AND status = 0
AND answer ->> 'call' = %(call)s

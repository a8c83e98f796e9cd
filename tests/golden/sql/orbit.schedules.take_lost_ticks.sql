UPDATE orbit_crontick
SET detail = jsonb_set(detail, '{enqueued_at}', to_jsonb(coalesce(%(now)s, now())))
WHERE id IN (SELECT id
FROM orbit_crontick
WHERE outcome = 'due'
AND coalesce((detail->>'enqueued_at')::timestamptz, created_at) < coalesce(%(now)s, now()) - %(lost)s * interval '1 second'
ORDER BY created_at
LIMIT 100
FOR
UPDATE SKIP LOCKED)
RETURNING id

SELECT schedule, detail, coalesce(%(now)s, now())
FROM orbit_crontick
WHERE id = %(tick_id)s
AND outcome = 'due'
FOR
UPDATE SKIP LOCKED

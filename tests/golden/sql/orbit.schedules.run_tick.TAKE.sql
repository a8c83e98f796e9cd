SELECT schedule, detail, coalesce(%s, now())
FROM orbit_crontick
WHERE id = %s
AND outcome = 'due'
FOR
UPDATE SKIP LOCKED

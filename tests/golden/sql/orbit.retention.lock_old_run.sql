SELECT id
FROM orbit_conductorrun
WHERE id = %(id)s
AND finished_at <= %(until)s::timestamptz
FOR
UPDATE SKIP LOCKED

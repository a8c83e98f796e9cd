SELECT r.id, r.cancelled_up_to
FROM orbit_conductorrun r
WHERE r.is_cancelling
AND r.id > %(after)s
ORDER BY r.id
LIMIT 1
FOR NO KEY
UPDATE SKIP LOCKED

UPDATE orbit_conductorrun
SET pruning_since = coalesce(pruning_since, clock_timestamp())
WHERE id = (SELECT id
FROM orbit_conductorrun
WHERE id = %(id)s
AND finished_at <= %(until)s::timestamptz
FOR
UPDATE SKIP LOCKED)
RETURNING finished_at

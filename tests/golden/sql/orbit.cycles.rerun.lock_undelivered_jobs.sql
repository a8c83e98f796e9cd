SELECT j.id
FROM orbit_dispatchjob j
WHERE j.cycle_id = ANY(%(family)s)
AND j.status IN ('dead', 'cancelled')
ORDER BY j.id
FOR NO KEY
UPDATE

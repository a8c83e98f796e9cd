-- Lock what ended undelivered in a family, until the re-run commits. A late success that a lost
-- worker brings for one of these jobs waits, and then finds the copy.
-- params: family uuid[]
SELECT j.id
FROM orbit_dispatchjob j
WHERE j.cycle_id = ANY(%(family)s)
  AND j.status IN ('dead', 'cancelled')
ORDER BY j.id
FOR NO KEY UPDATE

-- Lock the open dead letters of a family, until the re-run commits. A requeue of one of them waits,
-- and then reads that it was requeued. Lock order: jobs before letters, as everywhere.
-- params: family uuid[]
SELECT l.id
FROM orbit_deadletterdispatch l
WHERE l.cycle_id = ANY(%(family)s)
  AND l.status = 'open'
ORDER BY l.id
FOR NO KEY UPDATE

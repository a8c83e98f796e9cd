-- Lock the oldest queued cycle of a namespace, if something may start there.
-- args: namespace
SELECT q.id
FROM orbit_cyclerun q
WHERE q.namespace = {{namespace}}
  AND q.status = 'queued'
  AND {{gate_lets_start}}
ORDER BY q.id
LIMIT 1
FOR NO KEY UPDATE OF q SKIP LOCKED   -- one that is being cancelled is passed over

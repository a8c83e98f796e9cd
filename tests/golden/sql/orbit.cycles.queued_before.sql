SELECT c.id, (SELECT count(*)
FROM (SELECT 1
FROM orbit_cyclerun q
WHERE q.namespace = c.namespace
AND q.status = 'queued'
AND q.id < c.id
LIMIT %(most)s) AS ahead)
FROM orbit_cyclerun c
WHERE c.id = ANY(%(cycles)s)

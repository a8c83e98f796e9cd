WITH RECURSIVE waiting AS ((SELECT t.run_id
FROM orbit_conductortally t
WHERE t.run_id > %(after)s
ORDER BY t.run_id
LIMIT 1)
UNION ALL
SELECT (SELECT t.run_id
FROM orbit_conductortally t
WHERE t.run_id > w.run_id
ORDER BY t.run_id
LIMIT 1)
FROM waiting w
WHERE w.run_id IS NOT NULL), candidates AS MATERIALIZED (SELECT run_id
FROM waiting
WHERE run_id IS NOT NULL
LIMIT %(candidates)s)
SELECT r.id
FROM orbit_conductorrun r
WHERE r.id IN (SELECT run_id
FROM candidates)
ORDER BY r.id
LIMIT %(runs)s
FOR NO KEY
UPDATE OF r SKIP LOCKED

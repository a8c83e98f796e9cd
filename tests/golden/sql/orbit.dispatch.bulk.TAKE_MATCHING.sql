WITH found AS MATERIALIZED (SELECT l.id
FROM orbit_deadletterdispatch l
WHERE {where}
ORDER BY l.id
LIMIT %(most)s + 1), kept AS (INSERT INTO governance_operationrunitem (run_id, object_id)
SELECT %(run)s, id
FROM found
ORDER BY id
LIMIT %(most)s)
SELECT count(*)
FROM found

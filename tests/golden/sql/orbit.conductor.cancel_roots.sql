WITH next AS MATERIALIZED (SELECT t.id, t.index, t.state, t.ready
FROM orbit_conductortask t
WHERE t.run_id = %(id)s
AND t.parent_id IS NULL
AND t.index > %(up_to)s
ORDER BY t.index
LIMIT %(tasks)s), open AS MATERIALIZED (SELECT n.id, n.index
FROM next n
WHERE n.state IN ('PENDING', 'RUNNING')
OR n.state = 'FAILED'
AND n.ready), locked AS MATERIALIZED (SELECT t.id
FROM orbit_conductortask t
WHERE t.id IN (SELECT id
FROM open)
AND (t.state IN ('PENDING', 'RUNNING')
OR t.state = 'FAILED'
AND t.ready)
FOR NO KEY
UPDATE SKIP LOCKED), changed AS (UPDATE orbit_conductortask t
SET state = 'CANCELLED', ready = false, lease_token = NULL, lease_expires_at = NULL, finished_at = statement_timestamp()
WHERE t.id IN (SELECT id
FROM locked)
RETURNING t.*)
SELECT coalesce((SELECT min(o.index) - 1
FROM open o
WHERE o.id NOT IN (SELECT id
FROM locked)), (SELECT max(n.index)
FROM next n), %(up_to)s), (SELECT count(*)::int
FROM changed), (SELECT count(*)
FROM next) < %(tasks)s
AND (SELECT count(*)
FROM open) = (SELECT count(*)
FROM locked)

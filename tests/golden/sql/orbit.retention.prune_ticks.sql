WITH batch AS MATERIALIZED (SELECT t.id, t.decided_at, t.schedule, t.due_at
FROM orbit_crontick t
WHERE t.decided_at IS NOT NULL
AND (t.decided_at, t.id) > (%(after_at)s::timestamptz, %(after_id)s::uuid)
AND t.decided_at <= %(until)s::timestamptz
ORDER BY t.decided_at, t.id
LIMIT %(limit)s), gone AS (DELETE
FROM orbit_crontick
WHERE id IN (SELECT b.id
FROM batch b
WHERE EXISTS (SELECT 1
FROM orbit_crontick n
WHERE n.schedule = b.schedule
AND n.due_at > b.due_at))
RETURNING decided_at), looked AS (SELECT decided_at, id
FROM batch
ORDER BY decided_at DESC, id DESC
LIMIT 1)
SELECT (SELECT count(*)
FROM batch), (SELECT decided_at
FROM looked), (SELECT id
FROM looked), (SELECT count(*)
FROM gone), (SELECT min(decided_at)
FROM gone), (SELECT max(decided_at)
FROM gone)

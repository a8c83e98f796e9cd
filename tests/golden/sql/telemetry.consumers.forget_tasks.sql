WITH slice AS MATERIALIZED (SELECT task_id
FROM telemetry_taskprojection
WHERE task_id > %(after)s
ORDER BY task_id
LIMIT %(limit)s
FOR
UPDATE), forgotten AS (DELETE
FROM telemetry_taskprojection p USING slice
WHERE p.task_id = slice.task_id
AND p.status_rank = -1)
SELECT max(task_id)
FROM slice

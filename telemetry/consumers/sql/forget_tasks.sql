-- Delete those of a slice of the tasks that got no event; return its last task, or null.
-- params: after text, limit int
WITH slice AS MATERIALIZED (
    SELECT task_id FROM telemetry_taskprojection
    WHERE task_id > %(after)s
    ORDER BY task_id
    LIMIT %(limit)s
    FOR UPDATE
),
forgotten AS (
    DELETE FROM telemetry_taskprojection p
    USING slice
    WHERE p.task_id = slice.task_id AND p.status_rank = {{reset_rank}}
)
SELECT max(task_id) FROM slice

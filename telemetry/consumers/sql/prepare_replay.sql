-- The tasks of a day that is replayed, before they are merged into the projection.
CREATE TEMPORARY TABLE IF NOT EXISTS telemetry_replayed_task (
    LIKE telemetry_taskprojection INCLUDING DEFAULTS, PRIMARY KEY (task_id)
) ON COMMIT DELETE ROWS;
-- In one transaction with another day.
TRUNCATE telemetry_replayed_task

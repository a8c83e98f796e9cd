CREATE TEMPORARY TABLE IF NOT EXISTS telemetry_replayed_task (LIKE telemetry_taskprojection INCLUDING DEFAULTS, PRIMARY KEY (task_id)) ON COMMIT DELETE ROWS; TRUNCATE telemetry_replayed_task

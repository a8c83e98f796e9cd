-- The namespace that owns a task, or null.
-- args: task
(SELECT r.namespace FROM telemetry_taskprojection r WHERE r.task_id = {{task}})

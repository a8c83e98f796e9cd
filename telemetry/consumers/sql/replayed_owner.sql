-- The namespace that owns a task, or null; also if only this replay knows it.
-- args: task
coalesce(
    (SELECT r.namespace FROM telemetry_taskprojection r WHERE r.task_id = {{task}}),
    (SELECT r.namespace FROM telemetry_replayed_task r WHERE r.task_id = {{task}}))

-- Project the task events of the staging table.
SELECT set_config('orbit.projection_updater', 'on', true);
{{task_rows}};
SELECT set_config('orbit.projection_updater', 'off', true)

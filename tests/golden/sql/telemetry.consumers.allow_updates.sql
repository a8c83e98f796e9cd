SELECT set_config('orbit.projection_updater', 'on', true)

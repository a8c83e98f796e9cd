SELECT set_config('orbit.projection_updater', 'off', true)

-- Let this transaction write to the projection.
SELECT set_config('orbit.projection_updater', 'on', true)

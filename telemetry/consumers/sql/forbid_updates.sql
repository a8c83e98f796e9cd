-- Let the rest of this transaction not write to the projection.
SELECT set_config('orbit.projection_updater', 'off', true)

-- The last day that was dropped without a whole archive, or null.
SELECT max(day) FROM telemetry_telemetryday WHERE dropped_at IS NOT NULL AND phase <> 'archived'

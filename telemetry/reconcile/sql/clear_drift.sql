-- Forget the list of a run that was interrupted.
DELETE FROM telemetry_projectiondrift

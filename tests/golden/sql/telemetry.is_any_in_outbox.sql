SELECT EXISTS (SELECT 1
FROM telemetry_outboxevent)

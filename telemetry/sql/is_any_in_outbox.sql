-- Whether any event waits in the outbox.
SELECT EXISTS (SELECT 1 FROM telemetry_outboxevent)

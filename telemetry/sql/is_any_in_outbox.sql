-- Whether the server accepts no writes, and whether any event waits in the outbox.
SELECT ({{is_read_only}}), EXISTS (SELECT 1 FROM telemetry_outboxevent)

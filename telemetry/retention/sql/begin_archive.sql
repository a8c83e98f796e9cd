-- Begin the archive of a day. From now on an event that is added opens the day again.
-- params: day date
INSERT INTO telemetry_telemetryday (day, phase) VALUES (%(day)s, 'filling')
ON CONFLICT (day) DO UPDATE
SET phase = 'filling', position_at = NULL, position_id = NULL, event_count = 0, digest = 0
WHERE telemetry_telemetryday.phase = 'open' AND telemetry_telemetryday.dropped_at IS NULL

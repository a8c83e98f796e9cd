INSERT INTO telemetry_telemetryday (day, phase)
VALUES (%(day)s, 'filling')
ON CONFLICT (day) DO
UPDATE
SET phase = 'filling', position_at = NULL, position_id = NULL, event_count = 0, digest = 0
WHERE telemetry_telemetryday.phase = 'open'
AND telemetry_telemetryday.dropped_at IS NULL

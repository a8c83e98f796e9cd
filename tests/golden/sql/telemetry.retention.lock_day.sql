SELECT position_at, position_id, event_count, digest
FROM telemetry_telemetryday
WHERE day = %(day)s
AND phase = %(phase)s
AND dropped_at IS NULL
FOR
UPDATE SKIP LOCKED

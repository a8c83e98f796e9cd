WITH reopened AS (SELECT day
FROM telemetry_telemetryday
WHERE day = ANY(%(days)s::date[])
AND phase <> 'open'
ORDER BY day
FOR
UPDATE)
UPDATE telemetry_telemetryday t
SET phase = 'open', archived_at = NULL
FROM reopened
WHERE t.day = reopened.day
AND t.dropped_at IS NULL

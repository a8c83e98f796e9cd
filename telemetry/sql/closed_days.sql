-- Days that take no more events.
-- params: days date[]
SELECT day FROM telemetry_telemetryday
WHERE day = ANY(%(days)s::date[]) AND dropped_at IS NOT NULL

-- Of these days, those that were dropped (true), and those that are being archived (false).
-- params: days date[]
SELECT day, dropped_at IS NOT NULL FROM telemetry_telemetryday
WHERE day = ANY(%(days)s::date[]) AND (dropped_at IS NOT NULL OR phase <> 'open')

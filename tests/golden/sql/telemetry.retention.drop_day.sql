SELECT telemetry_drop_day(%(day)s)

SELECT telemetry_ensure_partitions(%(day)s::date, %(day)s::date)

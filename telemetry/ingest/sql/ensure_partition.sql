-- Make the partition of a day.
-- params: day date
SELECT telemetry_ensure_partitions(%(day)s::date, %(day)s::date)

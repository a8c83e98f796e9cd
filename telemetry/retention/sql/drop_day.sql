-- Drop a day as the owner of the tables.
-- params: day date
SELECT telemetry_drop_day(%(day)s)

-- The partitions of records and checkpoints that are missing, from last month to a year ahead.
SELECT month::date
FROM generate_series(
    date_trunc('month', now() AT TIME ZONE 'UTC' - interval '1 month'),
    now() AT TIME ZONE 'UTC' + interval '1 year',
    interval '1 month'
) AS month
WHERE to_regclass('orbit_cyclecheckpoint_p' || to_char(month, 'YYYYMM')) IS NULL
   OR to_regclass('orbit_recordgroup_p' || to_char(month, 'YYYYMM')) IS NULL
ORDER BY 1

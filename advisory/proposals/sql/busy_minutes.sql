-- How many cycles the clock started in each minute of the hour, of the newest `most` cycles; and how
-- many different run profiles that were.
-- params: most int, except_run_profile text
SELECT
    extract(minute FROM newest.created_at AT TIME ZONE 'UTC')::int AS minute,
    count(*) AS cycles,
    count(DISTINCT newest.run_profile_id) AS run_profiles
FROM (
    SELECT c.created_at, c.trigger, c.run_profile_id
    FROM orbit_cyclerun c
    ORDER BY c.id DESC
    LIMIT %(most)s
) newest
WHERE newest.trigger = 'cron'
  AND newest.run_profile_id IS DISTINCT FROM %(except_run_profile)s
GROUP BY 1
ORDER BY 1

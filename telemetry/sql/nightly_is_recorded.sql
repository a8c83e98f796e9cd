-- Whether a run does this job today, or has done it.
-- params: job text
SELECT EXISTS (
    SELECT 1
    FROM telemetry_nightlyrun
    WHERE job = %(job)s AND day = (now() AT TIME ZONE 'UTC')::date
)

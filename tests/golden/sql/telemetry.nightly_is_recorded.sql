SELECT EXISTS (SELECT 1
FROM telemetry_nightlyrun
WHERE job = %(job)s
AND day = (now() AT TIME ZONE 'UTC')::date)

WITH done AS (SELECT (SELECT count(*)
FROM orbit_cyclecheckpoint
WHERE cycle_id = %(id)s) + (SELECT count(*)
FROM orbit_deliveryreceipt r
JOIN orbit_dispatchjob j ON j.id = r.job_id
WHERE j.cycle_id = %(id)s) AS n)
UPDATE orbit_cyclerun c
SET progress = done.n, resumes = CASE WHEN done.n > c.progress THEN 1 ELSE c.resumes END
FROM done
WHERE c.id = %(id)s
AND c.fencing_token = %(token)s
RETURNING c.resumes

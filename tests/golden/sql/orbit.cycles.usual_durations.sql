SELECT profiles.id, percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch
FROM recent.took))::float8
FROM unnest(%(run_profiles)s::text[]) AS profiles (id)
JOIN LATERAL (SELECT c.finished_at - c.started_at AS took
FROM (SELECT finished_at, started_at
FROM orbit_cyclerun
WHERE run_profile_id = profiles.id
ORDER BY id DESC
LIMIT %(recent)s) AS c
WHERE c.finished_at IS NOT NULL
AND c.started_at IS NOT NULL) AS recent ON true
GROUP BY profiles.id

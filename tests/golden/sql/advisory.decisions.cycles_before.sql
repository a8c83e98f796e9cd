SELECT CASE WHEN ended.status = 'success' THEN (1000 * extract(epoch
FROM ended.finished_at - ended.started_at))::float8 END
FROM advisory_strategyproposal p CROSS
JOIN LATERAL (SELECT c.status, c.started_at, c.finished_at
FROM (SELECT r.run_profile_id
FROM orbit_runprofile r
JOIN orbit_profile o ON o.id = r.profile_id
WHERE p.run_profile_id IS NULL
AND o.profile_id = p.profile_id
UNION ALL
SELECT p.run_profile_id
WHERE p.run_profile_id IS NOT NULL) ran
JOIN orbit_cyclerun c ON c.run_profile_id = ran.run_profile_id
WHERE c.id >= %(first_id)s
AND c.id < %(last_id)s
AND c.status IN ('success', 'partial_success', 'failed')
AND c.profile_id = p.profile_id
AND (p.namespace IS NULL
OR c.namespace = p.namespace)
AND p.base_revision >= CASE WHEN p.run_profile_id IS NULL THEN c.profile_revision ELSE c.run_profile_revision END
ORDER BY c.id DESC
LIMIT %(most)s) ended
WHERE p.id = %(proposal)s

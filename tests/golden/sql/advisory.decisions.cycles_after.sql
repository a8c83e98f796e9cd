WITH approved AS MATERIALIZED (SELECT t.cycles, t.started_at, p.applied_revision, p.profile_id, p.run_profile_id, p.namespace, (lpad(to_hex((extract(epoch
FROM t.started_at - interval '1 minute') * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid AS first_id
FROM advisory_trackrecord t
JOIN advisory_strategyproposal p ON p.id = t.proposal_id
WHERE t.proposal_id = %(proposal)s)
SELECT CASE WHEN ended.status = 'success' THEN (1000 * extract(epoch
FROM ended.finished_at - ended.started_at))::float8 END
FROM approved CROSS
JOIN LATERAL (SELECT c.status, c.started_at, c.finished_at
FROM (SELECT r.run_profile_id
FROM orbit_runprofile r
JOIN orbit_profile o ON o.id = r.profile_id
WHERE approved.run_profile_id IS NULL
AND o.profile_id = approved.profile_id
UNION ALL
SELECT approved.run_profile_id
WHERE approved.run_profile_id IS NOT NULL) ran
JOIN orbit_cyclerun c ON c.run_profile_id = ran.run_profile_id
AND c.id >= approved.first_id
AND c.status IN ('success', 'partial_success', 'failed')
AND c.finished_at > approved.started_at
AND c.profile_id = approved.profile_id
AND approved.applied_revision = CASE WHEN approved.run_profile_id IS NULL THEN c.profile_revision ELSE c.run_profile_revision END
WHERE approved.namespace IS NULL
OR c.namespace = approved.namespace
ORDER BY c.id
LIMIT approved.cycles) ended

WITH page AS MATERIALIZED (SELECT b.proposal_id, b.cycles, b.until, b.started_at, b.applied_revision, p.profile_id, p.run_profile_id, (lpad(to_hex((extract(epoch
FROM b.started_at - interval '1 minute') * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid AS first_id
FROM advisory_probation b
JOIN advisory_strategyproposal p ON p.id = b.proposal_id
WHERE b.status = 'running'
AND b.proposal_id > %(after)s
AND (%(only)s::uuid IS NULL
OR b.proposal_id = %(only)s)
ORDER BY b.proposal_id
LIMIT %(most)s)
SELECT page.proposal_id, CASE WHEN document.revision IS NULL
OR document.hidden THEN 'hidden' WHEN document.revision <> page.applied_revision THEN 'edited' WHEN ended.cycles >= page.cycles THEN 'cycles' WHEN page.until <= now() THEN 'until' END, ended.cycles
FROM page
LEFT
JOIN LATERAL (SELECT d.revision, d.hidden
FROM orbit_profile d
WHERE page.run_profile_id IS NULL
AND d.profile_id = page.profile_id
UNION ALL
SELECT d.revision, d.hidden
FROM orbit_runprofile d
WHERE d.run_profile_id = page.run_profile_id) document ON true CROSS
JOIN LATERAL (SELECT count(*) AS cycles
FROM (SELECT
FROM (SELECT r.run_profile_id
FROM orbit_runprofile r
JOIN orbit_profile o ON o.id = r.profile_id
WHERE page.run_profile_id IS NULL
AND o.profile_id = page.profile_id
UNION ALL
SELECT page.run_profile_id
WHERE page.run_profile_id IS NOT NULL) ran
JOIN orbit_cyclerun c ON c.run_profile_id = ran.run_profile_id
AND c.id >= page.first_id
AND c.status IN ('success', 'partial_success', 'failed')
AND c.finished_at > page.started_at
AND c.profile_id = page.profile_id
AND page.applied_revision = CASE WHEN page.run_profile_id IS NULL THEN c.profile_revision ELSE c.run_profile_revision END
LIMIT coalesce(page.cycles, 0)) counted) ended
ORDER BY page.proposal_id

WITH page AS MATERIALIZED (SELECT t.proposal_id, t.cycles, t.started_at, p.applied_revision, p.profile_id, p.run_profile_id, p.namespace, (lpad(to_hex((extract(epoch
FROM t.started_at - interval '1 minute') * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid AS first_id
FROM advisory_trackrecord t
JOIN advisory_strategyproposal p ON p.id = t.proposal_id
WHERE t.status = 'waiting'
AND t.proposal_id > %(after)s
AND (%(only)s::uuid IS NULL
OR t.proposal_id = %(only)s)
ORDER BY t.proposal_id
LIMIT %(most)s)
SELECT page.proposal_id, CASE WHEN ended.cycles >= page.cycles THEN 'cycles' WHEN document.revision IS NULL
OR document.hidden THEN 'hidden' WHEN document.revision <> page.applied_revision THEN 'edited' WHEN page.started_at <= now() - make_interval(days => %(days)s) THEN 'time' END
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
WHERE page.namespace IS NULL
OR c.namespace = page.namespace
LIMIT page.cycles) counted) ended
ORDER BY page.proposal_id

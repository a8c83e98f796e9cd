WITH page AS MATERIALIZED (SELECT p.id, p.profile_id, p.run_profile_id, p.base_revision
FROM advisory_strategyproposal p
WHERE p.state = 'pending'
AND p.id > %(after)s
ORDER BY p.id
LIMIT %(page)s), outdated AS MATERIALIZED (SELECT page.id, CASE WHEN document.revision IS NULL
OR document.hidden THEN 'Its document is no longer in the configuration.' ELSE format('It was made against revision %%s, but revision %%s is the current one.', page.base_revision, document.revision) END AS reason
FROM page
LEFT
JOIN LATERAL (SELECT d.revision, d.hidden
FROM orbit_profile d
WHERE page.run_profile_id IS NULL
AND d.profile_id = page.profile_id
UNION ALL
SELECT d.revision, d.hidden
FROM orbit_runprofile d
WHERE d.run_profile_id = page.run_profile_id) document ON true
WHERE document.revision IS NULL
OR document.hidden
OR document.revision <> page.base_revision
ORDER BY page.id
LIMIT %(most)s), locked AS MATERIALIZED (SELECT p.id
FROM advisory_strategyproposal p
JOIN outdated ON outdated.id = p.id
WHERE p.state = 'pending'
FOR
UPDATE OF p SKIP LOCKED), ended AS (UPDATE advisory_strategyproposal p
SET state = 'superseded', ended_at = now(), end_reason = outdated.reason
FROM locked
JOIN outdated ON outdated.id = locked.id
WHERE p.id = locked.id
RETURNING p.id, p.namespace, p.end_reason), edge AS (SELECT (SELECT id
FROM page
ORDER BY id DESC
LIMIT 1) AS id, count(*) AS size
FROM page)
SELECT edge.id, edge.size, ended.id, ended.namespace, ended.end_reason
FROM edge
LEFT
JOIN ended ON true

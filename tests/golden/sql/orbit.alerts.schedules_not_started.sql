SELECT schedule, due_at, outcome, namespace
FROM (SELECT DISTINCT ON (t.schedule) t.schedule, t.due_at, t.outcome, r.namespace
FROM (SELECT id, schedule, due_at, outcome
FROM (SELECT id, schedule, due_at, outcome
FROM orbit_crontick
WHERE outcome IN ('skipped', 'refused', 'missed', 'late')
AND outcome = 'missed'
AND id >= %(since)s
ORDER BY id DESC
LIMIT 1000) missed
UNION ALL
SELECT id, schedule, due_at, outcome
FROM (SELECT id, schedule, due_at, outcome
FROM orbit_crontick
WHERE outcome = 'due'
AND created_at < statement_timestamp() - %(late)s * interval '1 second'
ORDER BY created_at
LIMIT 1000) undecided) t
LEFT
JOIN orbit_runprofile r ON t.schedule = 'run-profile:' || r.run_profile_id
WHERE NOT EXISTS (SELECT
FROM orbit_crontick l
WHERE l.schedule = t.schedule
AND l.id > t.id
AND l.outcome NOT IN ('missed', 'due'))
ORDER BY t.schedule, t.id DESC) newest
ORDER BY due_at DESC
LIMIT %(most)s

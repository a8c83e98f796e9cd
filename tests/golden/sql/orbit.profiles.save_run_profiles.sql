WITH given AS (SELECT d ->> 'run_profile_id' AS key, d AS document
FROM unnest(%(documents)s::text[]::jsonb[]) AS d), kept AS (SELECT t.id, t.run_profile_id AS key, t.revision, t.hidden, t.document = given.document AS same
FROM orbit_runprofile t
JOIN given ON given.key = t.run_profile_id), written AS (INSERT INTO orbit_runprofile AS t (run_profile_id, state, document, revision, profile_id, namespace)
SELECT given.key, given.document ->> 'state', given.document, coalesce(kept.revision, 0) + (kept.same IS NOT TRUE)::int, p.id, given.document ->> 'namespace'
FROM given
LEFT
JOIN kept ON kept.key = given.key
JOIN orbit_profile p ON p.profile_id = given.document ->> 'profile_id'
WHERE kept.same IS NOT TRUE
OR kept.hidden
ON CONFLICT (run_profile_id) DO
UPDATE
SET state = excluded.state, document = excluded.document, revision = excluded.revision, hidden = false, updated_at = now(), profile_id = excluded.profile_id, namespace = excluded.namespace
RETURNING t.id, t.run_profile_id AS key, t.revision, t.document), history AS (INSERT INTO orbit_runprofilerevision (run_profile_id, number, document, author, source, reason)
SELECT written.id, written.revision, written.document, %(author)s, %(source)s, %(reason)s
FROM written
LEFT
JOIN kept ON kept.key = written.key
WHERE kept.same IS NOT TRUE)
SELECT written.key, kept.id IS NULL
FROM written
LEFT
JOIN kept ON kept.key = written.key
ORDER BY written.key

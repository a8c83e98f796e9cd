WITH given AS (SELECT d ->> 'profile_id' AS key, d AS document
FROM unnest(%(documents)s::text[]::jsonb[]) AS d), kept AS (SELECT t.id, t.profile_id AS key, t.revision, t.hidden, t.document = given.document AS same
FROM orbit_profile t
JOIN given ON given.key = t.profile_id), written AS (INSERT INTO orbit_profile AS t (profile_id, state, document, revision, label)
SELECT given.key, given.document ->> 'state', given.document, coalesce(kept.revision, 0) + (kept.same IS NOT TRUE)::int, given.document ->> 'label'
FROM given
LEFT
JOIN kept ON kept.key = given.key
WHERE kept.same IS NOT TRUE
OR kept.hidden
ON CONFLICT (profile_id) DO
UPDATE
SET state = excluded.state, document = excluded.document, revision = excluded.revision, hidden = false, updated_at = now(), label = excluded.label
RETURNING t.id, t.profile_id AS key, t.revision, t.document), history AS (INSERT INTO orbit_profilerevision (profile_id, number, document, author, source, reason)
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

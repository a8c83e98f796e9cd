WITH given AS (SELECT d ->> '{key}' AS key, d AS document
FROM unnest(%(documents)s::text[]::jsonb[]) AS d), kept AS (SELECT t.id, t.{key} AS key, t.revision, t.hidden, t.document = given.document AS same
FROM {table} t
JOIN given ON given.key = t.{key}), written AS (INSERT INTO {table} AS t ({key}, state, document, revision, {columns})
SELECT given.key, given.document ->> 'state', given.document, coalesce(kept.revision, 0) + (kept.same IS NOT TRUE)::int, {values}
FROM given
LEFT
JOIN kept ON kept.key = given.key {join}
WHERE kept.same IS NOT TRUE
OR kept.hidden
ON CONFLICT ({key}) DO
UPDATE
SET state = excluded.state, document = excluded.document, revision = excluded.revision, hidden = false, updated_at = now(), {updates}
RETURNING t.id, t.{key} AS key, t.revision, t.document), history AS (INSERT INTO {revisions} ({owner}, number, document, author, source, reason)
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

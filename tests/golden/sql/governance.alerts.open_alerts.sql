INSERT INTO governance_alert AS a (id, condition, object, summary, namespace, link, count, first_seen_at, last_seen_at)
SELECT o.id, %(condition)s, o.object, o.summary, o.namespace, o.link, o.count, statement_timestamp(), statement_timestamp()
FROM unnest(%(ids)s::uuid[], %(objects)s::text[], %(summaries)s::text[], %(namespaces)s::text[], %(links)s::text[], %(counts)s::int[]) AS o (id, object, summary, namespace, link, count)
ORDER BY o.object
ON CONFLICT (condition, object)
WHERE resolved_at IS NULL DO
UPDATE
SET summary = excluded.summary, link = excluded.link, count = excluded.count, last_seen_at = excluded.last_seen_at
RETURNING id, xmax = 0 AS is_new

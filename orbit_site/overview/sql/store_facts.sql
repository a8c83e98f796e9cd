-- Keep what was just read, and drop what was not read for an hour: an address may name any
-- namespace, so there are as many scopes as users can think of.
-- params: scopes text[], facts text[]
WITH dropped AS (
    DELETE FROM orbit_overviewfacts
    WHERE scope IN (
        SELECT scope
        FROM orbit_overviewfacts
        WHERE taken_at < clock_timestamp() - interval '1 hour'
          AND scope <> ALL (%(scopes)s::text[])
        LIMIT 100
        FOR UPDATE SKIP LOCKED   -- a reader claims it just now
    )
)
UPDATE orbit_overviewfacts f
SET facts = x.facts::jsonb
FROM unnest(%(scopes)s::text[], %(facts)s::text[]) AS x(scope, facts)
WHERE f.scope = x.scope

WITH dropped AS (DELETE
FROM orbit_overviewfacts
WHERE scope IN (SELECT scope
FROM orbit_overviewfacts
WHERE taken_at < clock_timestamp() - interval '1 hour'
AND scope <> ALL (%(scopes)s::text[])
LIMIT 100
FOR
UPDATE SKIP LOCKED))
UPDATE orbit_overviewfacts f
SET facts = x.facts::jsonb
FROM unnest(%(scopes)s::text[], %(facts)s::text[]) AS x(scope, facts)
WHERE f.scope = x.scope

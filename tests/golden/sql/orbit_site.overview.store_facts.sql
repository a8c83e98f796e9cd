UPDATE orbit_overviewfacts f
SET facts = x.facts::jsonb
FROM unnest(%(scopes)s::text[], %(facts)s::text[]) AS x(scope, facts)
WHERE f.scope = x.scope

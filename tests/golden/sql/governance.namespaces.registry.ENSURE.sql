WITH made AS (INSERT INTO governance_namespace (name, external_id)
SELECT *
FROM unnest(%s::text[], %s::uuid[])
ON CONFLICT (name) DO NOTHING
RETURNING id, name), settings AS (INSERT INTO governance_governancesetting (namespace_id)
SELECT id
FROM made)
SELECT name
FROM made
ORDER BY name

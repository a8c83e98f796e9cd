WITH created AS (INSERT INTO governance_namespace (name, external_id)
SELECT *
FROM unnest(%(names)s::text[], %(external_ids)s::uuid[])
ON CONFLICT (name) DO NOTHING
RETURNING id, name), settings AS (INSERT INTO governance_governancesetting (namespace_id)
SELECT id
FROM created)
SELECT name
FROM created
ORDER BY name

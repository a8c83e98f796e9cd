INSERT INTO governance_governancesetting (namespace_id)
SELECT id
FROM governance_namespace
WHERE name = %(name)s
ON CONFLICT (namespace_id) DO NOTHING

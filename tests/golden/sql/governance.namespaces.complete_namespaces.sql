INSERT INTO governance_governancesetting (namespace_id)
SELECT n.id
FROM governance_namespace n
WHERE ((SELECT count(*)
FROM governance_namespace) > (SELECT count(*)
FROM governance_governancesetting))
AND NOT EXISTS (SELECT 1
FROM governance_governancesetting s
WHERE s.namespace_id = n.id)
ON CONFLICT (namespace_id) DO NOTHING

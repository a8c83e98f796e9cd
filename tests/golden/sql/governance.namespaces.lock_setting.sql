SELECT s.namespace_id, s.mode, coalesce(s.until <= clock_timestamp(), false), s.reason, s.changed_by, s.since, s.until
FROM governance_governancesetting s
JOIN governance_namespace n ON n.id = s.namespace_id
WHERE n.name = %(name)s
FOR NO KEY
UPDATE OF s

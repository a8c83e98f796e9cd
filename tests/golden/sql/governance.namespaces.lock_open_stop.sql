SELECT id, reason, started_by, since, until, coalesce(until <= clock_timestamp(), false)
FROM governance_stop
WHERE namespace_id IS NOT DISTINCT
FROM %(namespace)s
AND kind = %(kind)s
AND ended_at IS NULL
FOR NO KEY
UPDATE

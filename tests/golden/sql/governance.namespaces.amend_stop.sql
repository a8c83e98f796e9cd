UPDATE governance_stop
SET reason = %(reason)s, started_by = %(by)s, until = %(until)s
WHERE namespace_id IS NOT DISTINCT
FROM %(namespace)s
AND kind = %(kind)s
AND ended_at IS NULL

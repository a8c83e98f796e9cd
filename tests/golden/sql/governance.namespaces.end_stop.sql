UPDATE governance_stop
SET ended_at = greatest(since, least(until, clock_timestamp())), ended_by = %(by)s, ended_reason = %(reason)s
WHERE namespace_id IS NOT DISTINCT
FROM %(namespace)s
AND kind = %(kind)s
AND ended_at IS NULL

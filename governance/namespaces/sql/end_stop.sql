-- End the open stop of a kind.
-- params: namespace bigint, kind text, by text, reason text
UPDATE governance_stop
SET ended_at = greatest(since, least(until, clock_timestamp())),   -- expired: it ended at `until`
    ended_by = %(by)s,
    ended_reason = %(reason)s
WHERE namespace_id IS NOT DISTINCT FROM %(namespace)s
  AND kind = %(kind)s
  AND ended_at IS NULL

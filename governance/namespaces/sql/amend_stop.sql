-- Give the open stop of a kind another reason or end.
-- params: namespace bigint, kind text, reason text, by text, until timestamptz
UPDATE governance_stop
SET reason = %(reason)s, started_by = %(by)s, until = %(until)s
WHERE namespace_id IS NOT DISTINCT FROM %(namespace)s
  AND kind = %(kind)s
  AND ended_at IS NULL

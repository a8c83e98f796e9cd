UPDATE governance_alert
SET resolved_at = statement_timestamp()
WHERE condition = %(condition)s
AND resolved_at IS NULL
AND object <> ALL (%(objects)s::text[])
RETURNING id

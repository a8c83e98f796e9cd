UPDATE governance_periodicwork
SET next_due_at = now()
WHERE type = %(type)s
AND next_due_at > now()

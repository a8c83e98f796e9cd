-- Make periodic work due now. Does nothing if it is due, or was never started: then it is due too.
-- params: type text
UPDATE governance_periodicwork
SET next_due_at = now()
WHERE type = %(type)s
  AND next_due_at > now()

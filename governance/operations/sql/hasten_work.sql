-- Make periodic work due now, unless a run of it began after `since`, an id. Does nothing if it is
-- due, or was never started: then it is due too.
-- params: type text, since uuid
UPDATE governance_periodicwork
SET next_due_at = now()
WHERE type = %(type)s
  AND next_due_at > now()
  AND NOT EXISTS (
      SELECT 1
      FROM governance_operationrun r
      WHERE r.type = %(type)s
        AND r.id > %(since)s   -- ids are in order of time
  )

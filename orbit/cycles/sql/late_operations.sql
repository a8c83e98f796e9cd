-- Operation runs whose next slice is late, the most overdue first. One that is due later than any
-- pause lasts is late too: the clock was set back.
-- params: late float8, most int
SELECT id
FROM governance_operationrun
WHERE status IN ('queued', 'running')
  AND (
      next_due_at <= now() - %(late)s * interval '1 second'
      OR next_due_at > now() + {{longest_pause}} * interval '1 second'
  )
ORDER BY next_due_at
LIMIT %(most)s

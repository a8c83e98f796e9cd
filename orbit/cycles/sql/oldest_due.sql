-- The oldest due cycles that needn't run alone, from a position on. A few: behind them may be any
-- number.
-- params: since timestamptz, since_id uuid
SELECT c.id, c.next_due_at
FROM orbit_cyclerun c
WHERE (c.next_due_at, c.id) >= (%(since)s::timestamptz, %(since_id)s::uuid)
  AND c.next_due_at <= now()
  AND c.resumes < {{alone_from}}   -- the condition of the index
  AND NOT EXISTS (SELECT 1 FROM {{pause}})   -- under a pause, read nothing
ORDER BY c.next_due_at, c.id

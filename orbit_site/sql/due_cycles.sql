-- The number of due cycles, and for how many seconds the oldest has been due.
SELECT count(*), coalesce(extract(epoch FROM now() - min(next_due_at)), 0)
FROM orbit_cyclerun
WHERE (next_due_at <= now() AND resumes < 2)   -- the conditions of two indexes
   OR (next_due_at <= now() AND resumes >= 2)

SELECT count(*), coalesce(extract(epoch
FROM now() - min(next_due_at)), 0)
FROM orbit_cyclerun
WHERE (next_due_at <= now()
AND resumes < 2)
OR (next_due_at <= now()
AND resumes >= 2)

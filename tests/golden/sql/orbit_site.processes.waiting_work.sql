SELECT (SELECT pg_is_in_recovery()
OR current_setting('transaction_read_only')::bool), EXISTS (SELECT 1
FROM django_q_schedule
WHERE func = %(tick)s
AND repeats <> 0
AND (next_run IS NULL
OR next_run <= now())) AS schedules, EXISTS (SELECT 1
FROM orbit_crontick
WHERE outcome = 'due') AS ticks, EXISTS (SELECT 1
FROM governance_stop
WHERE ended_at IS NULL) AS stops, EXISTS (SELECT 1
FROM orbit_cyclerun
WHERE status = 'queued') AS queued_cycles, EXISTS (SELECT 1
FROM orbit_cyclerun
WHERE next_due_at <= now() - %(late)s * interval '1 second'
AND resumes < 2) AS due_cycles, EXISTS (SELECT 1
FROM orbit_cyclerun
WHERE next_due_at <= now()
AND resumes >= 2) AS suspected_cycles, EXISTS (SELECT 1
FROM governance_operationrun
WHERE status IN ('queued', 'running')) AS operations

WITH RECURSIVE waiting(namespace) AS ((SELECT p.namespace
FROM orbit_conductorparent p
WHERE NOT p.is_fanned_out
AND NOT p.is_cancelling
ORDER BY p.namespace
LIMIT 1)
UNION ALL
SELECT (SELECT p.namespace
FROM orbit_conductorparent p
WHERE NOT p.is_fanned_out
AND NOT p.is_cancelling
AND p.namespace > w.namespace
ORDER BY p.namespace
LIMIT 1)
FROM waiting w
WHERE w.namespace IS NOT NULL)
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
WHERE status IN ('queued', 'running')) AS operations, (EXISTS (SELECT 1
FROM waiting w
WHERE w.namespace IS NOT NULL
AND NOT EXISTS (SELECT 1
FROM governance_governancesetting s
JOIN governance_namespace n ON n.id = s.namespace_id
WHERE n.name = w.namespace
AND s.mode <> 'running'
AND (s.until IS NULL
OR s.until > now()))
AND NOT EXISTS (SELECT 1
FROM governance_stop p
WHERE p.namespace_id IS NULL
AND p.kind = 'pause'
AND p.ended_at IS NULL
AND (p.until IS NULL
OR p.until > now())))
OR (EXISTS (SELECT
FROM orbit_conductortally)
OR EXISTS (SELECT
FROM orbit_conductorparent
WHERE is_cancelling)
OR EXISTS (SELECT
FROM orbit_conductorparent
WHERE is_retrying)
OR EXISTS (SELECT
FROM orbit_conductorrun
WHERE is_cancelling))) AS conductor, EXISTS (SELECT 1
FROM telemetry_outboxevent) AS outbox, EXISTS (SELECT 1
FROM governance_notification
WHERE status = 'pending'
AND next_attempt_at <= statement_timestamp()) AS alerts

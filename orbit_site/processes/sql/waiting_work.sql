-- Whether the server accepts no writes, and whether there is anything for the tasks that maintenance
-- runs each second, and for its threads: a few probes of indexes. Each is true whenever its tasks
-- would do something, and may be true when they would not.
-- params: tick text, late float8
WITH RECURSIVE {{waiting_namespaces}}
SELECT
    ({{is_read_only}}),
    EXISTS (
        SELECT 1
        FROM django_q_schedule
        WHERE func = %(tick)s
          AND repeats <> 0                              -- it is on
          AND (next_run IS NULL OR next_run <= now())   -- NULL: not computed yet
    ) AS schedules,
    EXISTS (SELECT 1 FROM orbit_crontick WHERE outcome = 'due') AS ticks,
    EXISTS (SELECT 1 FROM governance_stop WHERE ended_at IS NULL) AS stops,
    EXISTS (SELECT 1 FROM orbit_cyclerun WHERE status = 'queued') AS queued_cycles,
    EXISTS (   -- two conditions, because each has an index
        SELECT 1
        FROM orbit_cyclerun
        WHERE next_due_at <= now() - %(late)s * interval '1 second'
          AND resumes < {{alone_from}}
    ) AS due_cycles,
    EXISTS (
        SELECT 1
        FROM orbit_cyclerun
        WHERE next_due_at <= now()
          AND resumes >= {{alone_from}}
    ) AS suspected_cycles,
    EXISTS (
        SELECT 1
        FROM governance_operationrun
        WHERE status IN ('queued', 'running')
    ) AS operations,
    (
        EXISTS (
            SELECT 1
            FROM waiting w
            WHERE w.namespace IS NOT NULL
              AND {{gate_lets_start(w.namespace)}}
        )
        OR {{aggregate_waits}}
    ) AS conductor,
    EXISTS (SELECT 1 FROM telemetry_outboxevent) AS outbox,
    EXISTS (
        SELECT 1
        FROM governance_notification
        WHERE status = 'pending'
          AND next_attempt_at <= statement_timestamp()
    ) AS alerts

INSERT INTO telemetry_errorgroup AS g (day, namespace, stage, message, message_sha256, count, first_seen, last_seen, sample)
SELECT DISTINCT ON (error.day, error.message_sha256, error.stage, error.namespace) error.day, error.namespace, error.stage, error.message, error.message_sha256, count(*) OVER same, error.occurred_at, max(error.occurred_at) OVER same, jsonb_build_object('id', error.id, 'occurred_at', to_char(error.occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'level', error.level, 'session_id', error.session_id, 'task_id', error.task_id, 'run_id', error.run_id, 'profile_id', error.profile_id, 'metadata', error.metadata)
FROM (SELECT s.*, (s.occurred_at AT TIME ZONE 'UTC')::date AS day, coalesce(s.metadata->>'message', '') AS message, encode(sha256(convert_to(coalesce(s.metadata->>'message', ''), 'UTF8')), 'hex') AS message_sha256
FROM telemetry_staging s
WHERE s.name = 'error') AS error WINDOW same AS (PARTITION BY error.day, error.message_sha256, error.stage, error.namespace)
ORDER BY error.day, error.message_sha256, error.stage, error.namespace, error.occurred_at, error.id
ON CONFLICT (day, message_sha256, stage, namespace) DO
UPDATE
SET count = g.count + excluded.count, first_seen = least(g.first_seen, excluded.first_seen), last_seen = greatest(g.last_seen, excluded.last_seen), sample = CASE WHEN (excluded.first_seen, (excluded.sample->>'id')::uuid) < (g.first_seen, (g.sample->>'id')::uuid) THEN excluded.sample ELSE g.sample END

INSERT INTO telemetry_staging
SELECT line.ordinal, e.id, e.occurred_at, e.name, e.namespace, e.profile_id, e.run_id, e.session_id, e.task_id, e.stage, e.level, e.duration_ms, e.metadata
FROM unnest(%(lines)s::text[]) WITH ORDINALITY AS line(text, ordinal) CROSS
JOIN jsonb_to_record(line.text::jsonb) AS e(id uuid, occurred_at timestamptz, name text, namespace text, profile_id text, run_id uuid, session_id text, task_id text, stage text, level text, duration_ms float8, metadata jsonb)

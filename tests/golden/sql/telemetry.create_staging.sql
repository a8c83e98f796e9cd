CREATE TEMPORARY TABLE IF NOT EXISTS telemetry_staging (ordinal integer NOT NULL, id uuid NOT NULL, occurred_at timestamptz NOT NULL, name text NOT NULL, namespace text, profile_id text, run_id uuid, session_id text, task_id text, stage text, level text NOT NULL, duration_ms float8, metadata jsonb NOT NULL) ON COMMIT DELETE ROWS;
DELETE
FROM telemetry_staging

INSERT INTO telemetry_outboxstate AS state (id, failing_since, problem)
SELECT 1, now(), %(problem)s::text
ON CONFLICT (id) DO
UPDATE
SET failing_since = CASE WHEN excluded.problem IS NOT NULL THEN coalesce(state.failing_since, now()) END, problem = excluded.problem
WHERE state.problem IS DISTINCT
FROM excluded.problem

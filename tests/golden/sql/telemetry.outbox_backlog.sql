SELECT (SELECT count(*)
FROM (SELECT
FROM telemetry_outboxevent
LIMIT %(most)s) AS waiting), coalesce((SELECT extract(epoch
FROM clock_timestamp() - occurred_at)
FROM telemetry_outboxevent
ORDER BY id
LIMIT 1), 0)::float8, coalesce(state.forwarded, 0), coalesce(state.refused, 0), CASE WHEN state.problem IS NOT NULL THEN state.failing_since END, state.problem
FROM (SELECT 1 AS id) AS one
LEFT
JOIN telemetry_outboxstate AS state USING (id)

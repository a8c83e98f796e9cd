WITH gone AS (DELETE
FROM telemetry_outboxevent
WHERE id = ANY(%(ids)s::uuid[])
RETURNING *), kept AS (INSERT INTO telemetry_refusedevent (id, occurred_at, recorded_at, name, namespace, profile_id, run_id, session_id, task_id, stage, level, duration_ms, metadata, reason)
SELECT gone.*, refusal.reason
FROM gone
JOIN unnest(%(refused)s::uuid[], %(reasons)s::text[]) AS refusal(id, reason) USING (id)
ON CONFLICT (id) DO NOTHING
RETURNING id), counted AS (SELECT (SELECT count(*)
FROM gone) AS gone, (SELECT count(*)
FROM kept) AS kept)
INSERT INTO telemetry_outboxstate AS state (id, forwarded, refused)
SELECT 1, counted.gone - counted.kept, counted.kept
FROM counted
ON CONFLICT (id) DO
UPDATE
SET forwarded = state.forwarded + excluded.forwarded, refused = state.refused + excluded.refused

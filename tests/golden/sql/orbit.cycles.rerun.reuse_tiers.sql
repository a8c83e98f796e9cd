WITH tiers AS (INSERT INTO orbit_transformation (id, cycle_id, initiation_id, tier, transformer, status, attempts, output_content_type, output_sha256, taken_from, started_at, finished_at)
SELECT x.id, %(cycle)s, t.initiation_id, t.tier, t.transformer, 'success', 0, t.output_content_type, t.output_sha256, t.id, clock_timestamp(), clock_timestamp()
FROM json_to_recordset(%(tiers)s::json) AS x(id uuid, source uuid)
JOIN orbit_transformation t ON t.id = x.source), checkpoints AS (INSERT INTO orbit_cyclecheckpoint (cycle_id, stage, fencing_token)
SELECT %(cycle)s, stage, 0
FROM unnest(%(checkpoints)s::text[]) AS stage)
UPDATE orbit_cyclerun
SET takeover = %(takeover)s::jsonb
WHERE id = %(cycle)s

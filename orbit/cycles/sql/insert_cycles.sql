-- Insert cycles.
-- args: rows
INSERT INTO orbit_cyclerun (
    id, namespace, status, trigger, triggered_by, profile_id, profile_revision, run_profile_id,
    run_profile_revision, instruction_id, context, initiation_hash, input, input_content_type,
    input_sha256, next_due_at)
VALUES {{rows}}
-- a namespace with an active cycle takes no second one
ON CONFLICT (namespace) WHERE status IN ('pending', 'running') DO NOTHING
RETURNING id

INSERT INTO orbit_cyclerun (id, namespace, status, trigger, triggered_by, profile_id, profile_revision, run_profile_id, run_profile_revision, instruction_id, context, initiation_hash, input, input_content_type, input_sha256, next_due_at, fencing_token, rerun_of, takeover)
SELECT %(id)s, o.namespace, 'pending', %(trigger)s, %(by)s, %(profile_id)s, %(profile_revision)s, %(run_profile_id)s, %(run_profile_revision)s, %(instruction_id)s, convert_from(%(context)s, 'UTF8')::jsonb, %(initiation_hash)s, o.input, o.input_content_type, o.input_sha256, now(), 1, o.id, '{}'
FROM orbit_cyclerun o
WHERE o.id = %(rerun_of)s FOR KEY SHARE OF o
ON CONFLICT (namespace)
WHERE status IN ('pending', 'running') DO NOTHING
RETURNING id

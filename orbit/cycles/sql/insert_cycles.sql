-- Insert cycles. The arrays go side by side, a cycle each.
-- params: status text, ids uuid[], namespaces text[], payloads bytea[], content_types text[]
-- params: sha256s text[], calls uuid[], trigger_column text[], by_column text[]
-- params: profile_id_column text[], profile_revision_column int[], run_profile_id_column text[]
-- params: run_profile_revision_column int[], instruction_id_column text[], context_column bytea[]
-- params: initiation_hash_column text[], traceparents text[]
INSERT INTO orbit_cyclerun (
    id, namespace, status, trigger, triggered_by, profile_id, profile_revision, run_profile_id,
    run_profile_revision, instruction_id, context, initiation_hash, input, input_content_type,
    input_sha256, call, traceparent, next_due_at)
SELECT
    x.id, x.namespace, %(status)s::text, x.trigger, x.by, x.profile_id, x.profile_revision,
    x.run_profile_id, x.run_profile_revision, x.instruction_id,
    convert_from(x.context, 'UTF8')::jsonb,
    x.initiation_hash,
    coalesce(x.payload, x.context),   -- sent once, stored twice
    x.content_type, x.sha256, x.call, x.traceparent,
    CASE WHEN %(status)s::text = 'pending' THEN now() END
FROM unnest(
    %(ids)s::uuid[], %(namespaces)s::text[], %(payloads)s::bytea[], %(content_types)s::text[],
    %(sha256s)s::text[], %(calls)s::uuid[], %(trigger_column)s::text[], %(by_column)s::text[],
    %(profile_id_column)s::text[], %(profile_revision_column)s::int[],
    %(run_profile_id_column)s::text[], %(run_profile_revision_column)s::int[],
    %(instruction_id_column)s::text[], %(context_column)s::bytea[],
    %(initiation_hash_column)s::text[], %(traceparents)s::text[]
) AS x(
    id, namespace, payload, content_type, sha256, call, trigger, by, profile_id, profile_revision,
    run_profile_id, run_profile_revision, instruction_id, context, initiation_hash,
    traceparent
)
-- a namespace with an active cycle takes no second one
ON CONFLICT (namespace) WHERE status IN ('pending', 'running') DO NOTHING
RETURNING id

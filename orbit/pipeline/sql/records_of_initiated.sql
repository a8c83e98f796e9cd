-- As `records` of other fenced statements: write the execution records. The third one of a cycle
-- says that its initiation was made; only here is it known whether it is reused.
-- params: records jsonb
records AS (
    INSERT INTO orbit_recordgroup (
        id, partition_key, cycle_id, level, namespace, stage, event, message, data, records)
    SELECT
        x.id, x.cycle_id, x.cycle_id, x.level, x.namespace, x.stage, x.event, x.message, x.data,
        CASE
            WHEN i.created OR x.records #>> '{2,1}' IS DISTINCT FROM 'initiation_created'
                THEN x.records
            ELSE jsonb_set(
                x.records,
                '{2}',
                jsonb_build_array(
                    'initiation',
                    'initiation_reused',
                    jsonb_build_object(
                        'initiation_id', i.id, 'initiation_hash', i.initiation_hash),
                    'the context is known'
                )
            )
        END
    FROM jsonb_to_recordset(%(records)s::jsonb) AS x(
        id uuid, cycle_id uuid, level text, namespace text, stage text, event text, message text,
        data jsonb, records jsonb)
    JOIN initiated i ON i.cycle_id = x.cycle_id
)

-- Write the execution records of a fenced statement.
-- params: records jsonb
records AS (
    INSERT INTO orbit_executionrecord (
        id, partition_key, cycle_id, stage, event, level, namespace, message, data)
    SELECT x.id, x.cycle_id, x.cycle_id, x.stage, x.event, x.level, x.namespace, x.message, x.data
    FROM jsonb_to_recordset(%(records)s::jsonb) AS x(
        id uuid, cycle_id uuid, stage text, event text, level text, namespace text, message text,
        data jsonb)
    JOIN locked ON locked.id = x.cycle_id
)

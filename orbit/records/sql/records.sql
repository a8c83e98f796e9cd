-- Write the execution records of a fenced statement: each row is one record or a group.
-- params: records jsonb
records AS (
    INSERT INTO orbit_recordgroup (
        id, partition_key, cycle_id, level, namespace, stage, event, message, data, records)
    SELECT
        x.id, x.cycle_id, x.cycle_id, x.level, x.namespace, x.stage, x.event, x.message, x.data,
        x.records
    FROM jsonb_to_recordset(%(records)s::jsonb) AS x(
        id uuid, cycle_id uuid, level text, namespace text, stage text, event text, message text,
        data jsonb, records jsonb)
    JOIN locked ON locked.id = x.cycle_id
)

-- Write execution records outside of any cycle's fence. Doing it twice adds nothing.
-- params: records jsonb
INSERT INTO orbit_executionrecord (
    id, partition_key, cycle_id, stage, event, level, namespace, message, data)
SELECT
    x.id,
    coalesce(x.cycle_id, x.id),   -- the partition key, which can't be null
    x.cycle_id, x.stage, x.event, x.level, x.namespace, x.message, x.data
FROM jsonb_to_recordset(%(records)s::jsonb) AS x(
    id uuid, cycle_id uuid, stage text, event text, level text, namespace text, message text,
    data jsonb)
ON CONFLICT DO NOTHING

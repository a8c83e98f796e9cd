-- Write execution records outside of any cycle's fence. Doing it twice adds nothing.
-- params: records jsonb
INSERT INTO orbit_recordgroup (
    id, partition_key, cycle_id, level, namespace, stage, event, message, data, records)
SELECT
    x.id,
    coalesce(x.cycle_id, x.id),   -- the partition key, which can't be null
    x.cycle_id, x.level, x.namespace, x.stage, x.event, x.message, x.data, x.records
FROM jsonb_to_recordset(%(records)s::jsonb) AS x(
    id uuid, cycle_id uuid, level text, namespace text, stage text, event text, message text,
    data jsonb, records jsonb)
ON CONFLICT DO NOTHING

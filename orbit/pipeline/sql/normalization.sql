-- CTEs of a fenced write that normalizes its cycles.
-- params: batches json, items json, blobs bytea[]
batches AS (
    INSERT INTO orbit_normalizationbatch (id, cycle_id, processor, item_count)
    SELECT x.id, x.cycle_id, x.processor, x.item_count
    FROM json_to_recordset(%(batches)s::json) AS x(
        id uuid, cycle_id uuid, processor text, item_count int
    )
    JOIN locked ON locked.id = x.cycle_id
),
items AS (
    INSERT INTO orbit_normalizationitem
        (id, batch_id, transformation_id, payload, content_type, sha256)
    SELECT
        x.id, x.batch_id, x.transformation_id,
        (%(blobs)s::bytea[])[x.blob], x.content_type, x.sha256
    FROM json_to_recordset(%(items)s::json) AS x(
        id uuid, cycle_id uuid, batch_id uuid, transformation_id uuid, blob int,
        content_type text, sha256 text
    )
    JOIN locked ON locked.id = x.cycle_id
)

-- Lock initiations and snapshots that may be unused. A cycle that reuses one waits for this lock,
-- and makes its own if the row is gone.
-- params: hashes text[], initiations uuid[], snapshots uuid[]
WITH initiation AS (
    SELECT id
    FROM orbit_initiation
    WHERE initiation_hash = ANY(%(hashes)s::text[]) OR id = ANY(%(initiations)s::uuid[])
    ORDER BY id
    FOR UPDATE SKIP LOCKED
),
snapshot AS (
    SELECT id FROM orbit_endpointsnapshot WHERE id = ANY(%(snapshots)s::uuid[])
    ORDER BY id
    FOR UPDATE SKIP LOCKED
)
SELECT
    (SELECT coalesce(array_agg(id), '{}') FROM initiation),
    (SELECT coalesce(array_agg(id), '{}') FROM snapshot)

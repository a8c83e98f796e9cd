-- Delete those initiations and snapshots to which nothing refers. They are locked, and this
-- statement sees what was committed before that. The snapshots of today's endpoints stay: a
-- process that has just read the id of one is about to use it.
-- params: initiations uuid[], snapshots uuid[], configured text[]
WITH initiation AS (
    DELETE FROM orbit_initiation i
    WHERE i.id = ANY(%(initiations)s::uuid[])
      AND NOT EXISTS (SELECT 1 FROM orbit_transformation t WHERE t.initiation_id = i.id)
      -- A cycle that has initiated, but has no tier yet. One that is queued initiates later.
      AND NOT EXISTS (
          SELECT 1
          FROM orbit_cyclerun c
          WHERE c.status IN ('pending', 'running') AND c.initiation_hash = i.initiation_hash
      )
    RETURNING i.id
),
snapshot AS (
    DELETE FROM orbit_endpointsnapshot s
    WHERE s.id = ANY(%(snapshots)s::uuid[])
      AND s.fingerprint <> ALL(%(configured)s::text[])
      AND NOT EXISTS (SELECT 1 FROM orbit_dispatchjob j WHERE j.snapshot_id = s.id)
    RETURNING s.id
)
SELECT
    (SELECT coalesce(array_agg(id), '{}') FROM initiation),
    (SELECT coalesce(array_agg(id), '{}') FROM snapshot)

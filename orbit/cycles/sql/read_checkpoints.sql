-- The checkpoints of a cycle with their age in seconds.
-- params: cycle uuid, namespace text
SELECT
    k.stage,
    extract(epoch FROM clock_timestamp() - k.created_at)::float8
    - CASE WHEN k.stage = 'dispatch_enqueued'   -- only this stage has a deadline
        THEN {{stopped_seconds(%(namespace)s, k.created_at)}}   -- a stopped cycle's clock doesn't run
        ELSE 0
      END
FROM orbit_cyclecheckpoint k
WHERE k.cycle_id = %(cycle)s

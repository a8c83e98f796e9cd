-- The checkpoints of a cycle with their age in seconds.
-- params: cycle uuid, namespace text
SELECT
    k.stage,
    extract(epoch FROM clock_timestamp() - k.created_at)::float8
    - CASE WHEN k.stage = 'dispatch_enqueued'   -- only this stage has a deadline
        THEN {{stopped_seconds(%(namespace)s, k.created_at)}}   -- not while stopped
        ELSE 0
      END
FROM orbit_cyclecheckpoint k
WHERE k.cycle_id = %(cycle)s

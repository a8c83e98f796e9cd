-- How many cycles have each status.
WITH rare AS (
    -- All but successes are rare, and in partial indexes: one for those that can be rerun, one for
    -- those that are active.
    SELECT status, count(*) AS number
    FROM orbit_cyclerun
    WHERE status IN ('queued', 'partial_success', 'failed', 'cancelled')
    GROUP BY status
    UNION ALL
    SELECT status, count(*)
    FROM orbit_cyclerun
    WHERE status IN ('pending', 'running')
    GROUP BY status
)
SELECT status, number FROM rare
UNION ALL
SELECT   -- successes are the rest: counting the primary key is cheaper than reading their rows
    'success',
    (SELECT count(*) FROM orbit_cyclerun)
    - (SELECT coalesce(sum(number), 0) FROM rare)::bigint

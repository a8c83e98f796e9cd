-- Return what was last read for some scopes, and claim those that are older than their seconds.
-- Of many readers at once one claims; the others get what there is.
-- params: scopes text[], seconds float8[]
WITH needed AS (
    SELECT scope, seconds
    FROM unnest(%(scopes)s::text[], %(seconds)s::float8[]) AS x(scope, seconds)
),
claimed AS (
    INSERT INTO orbit_overviewfacts AS f (scope, taken_at)
    SELECT scope, clock_timestamp()
    FROM needed
    -- no lock for what is fresh; of a time to come, it was taken before the clock went back
    WHERE NOT EXISTS (
        SELECT FROM orbit_overviewfacts o
        WHERE o.scope = needed.scope
          AND o.taken_at <= clock_timestamp()
          AND o.taken_at > clock_timestamp() - {{lasting}} * interval '1 second'
    )
    ORDER BY scope   -- one order for all, against deadlocks
    ON CONFLICT (scope) DO UPDATE SET taken_at = clock_timestamp()
    -- another reader claimed it meanwhile
    WHERE f.taken_at > clock_timestamp()
       OR f.taken_at <= clock_timestamp() - (
           SELECT {{lasting}} FROM needed CROSS JOIN (SELECT f.facts) AS o WHERE needed.scope = f.scope
       ) * interval '1 second'
    RETURNING f.scope
)
SELECT needed.scope, f.facts, needed.scope IN (SELECT scope FROM claimed)
FROM needed
LEFT JOIN orbit_overviewfacts f ON f.scope = needed.scope

WITH needed AS (SELECT scope, seconds
FROM unnest(%(scopes)s::text[], %(seconds)s::float8[]) AS x(scope, seconds)), claimed AS (INSERT INTO orbit_overviewfacts AS f (scope, taken_at)
SELECT scope, clock_timestamp()
FROM needed
WHERE NOT EXISTS (SELECT
FROM orbit_overviewfacts o
WHERE o.scope = needed.scope
AND o.taken_at <= clock_timestamp()
AND o.taken_at > clock_timestamp() - greatest(needed.seconds, least(100 * coalesce((o.facts ->> 'took')::float8, 0), 5 * needed.seconds, 10.0)) * interval '1 second')
ORDER BY scope
ON CONFLICT (scope) DO
UPDATE
SET taken_at = clock_timestamp()
WHERE f.taken_at > clock_timestamp()
OR f.taken_at <= clock_timestamp() - (SELECT greatest(needed.seconds, least(100 * coalesce((o.facts ->> 'took')::float8, 0), 5 * needed.seconds, 10.0))
FROM needed CROSS
JOIN (SELECT f.facts) AS o
WHERE needed.scope = f.scope) * interval '1 second'
RETURNING f.scope)
SELECT needed.scope, f.facts, needed.scope IN (SELECT scope
FROM claimed)
FROM needed
LEFT
JOIN orbit_overviewfacts f ON f.scope = needed.scope

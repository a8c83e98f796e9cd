-- Note triggers that met an active cycle.
-- params: namespaces text[], numbers int[]
INSERT INTO orbit_skipnotice AS n (namespace, written_at, suppressed)
SELECT x.namespace, clock_timestamp(), x.number - 1
FROM unnest(%(namespaces)s::text[], %(numbers)s::int[]) AS x(namespace, number)
ORDER BY x.namespace   -- one order for all, against deadlocks
{{count_skips}}

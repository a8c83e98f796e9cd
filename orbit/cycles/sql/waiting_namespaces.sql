-- Namespaces with queued cycles, none active, in which something may start.
-- The recursion jumps from namespace to namespace in the index: queues may be long.
-- params: most int
WITH RECURSIVE queues AS (
    (
        SELECT q.namespace
        FROM orbit_cyclerun q
        WHERE q.status = 'queued'
        ORDER BY q.namespace
        LIMIT 1
    )
    UNION ALL
    SELECT (
        SELECT q.namespace
        FROM orbit_cyclerun q
        WHERE q.status = 'queued'
          AND q.namespace > w.namespace
        ORDER BY q.namespace
        LIMIT 1
    )
    FROM queues w
    WHERE w.namespace IS NOT NULL
)
SELECT w.namespace
FROM queues w
WHERE w.namespace IS NOT NULL
  AND NOT EXISTS (
    SELECT 1
    FROM orbit_cyclerun a
    WHERE a.namespace = w.namespace
      AND a.status IN ('pending', 'running')
)
  AND {{gate_lets_start(w.namespace)}}
LIMIT %(most)s

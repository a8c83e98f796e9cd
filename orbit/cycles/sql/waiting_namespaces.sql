-- Namespaces with queued cycles, none active, in which something may start.
-- params: most int
SELECT w.namespace
-- first the namespaces, which are few: the gate is asked once for each
FROM (SELECT DISTINCT namespace FROM orbit_cyclerun WHERE status = 'queued') AS w
WHERE NOT EXISTS (
    SELECT 1
    FROM orbit_cyclerun a
    WHERE a.namespace = w.namespace
      AND a.status IN ('pending', 'running')
)
  AND {{gate_lets_start(w.namespace)}}
ORDER BY w.namespace
LIMIT %(most)s

-- Namespaces with queued cycles, none active, in which something may start. They are few, and the
-- index of queued cycles is read once.
-- params: most int
SELECT w.namespace
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

-- Of each namespace the oldest cycle of a run that may start now.
-- params: run uuid, scope text[], limit int
SELECT DISTINCT ON (c.namespace) i.object_id, c.namespace
FROM governance_operationrunitem i
LEFT JOIN orbit_cyclerun c
    ON c.id = i.object_id
    -- the run's namespaces; NULL: all
    AND (%(scope)s::text[] IS NULL OR c.namespace = ANY(%(scope)s::text[]))
WHERE i.run_id = %(run)s
  AND i.outcome IS NULL
  AND (
      c.id IS NULL   -- unknown, or outside of these namespaces: fails at once
      OR {{gate_lets_start(c.namespace)}}
      AND NOT EXISTS (   -- at most one cycle is active in a namespace
          SELECT 1
          FROM orbit_cyclerun a
          WHERE a.namespace = c.namespace
            AND a.status IN ('pending', 'running')
      )
  )
ORDER BY c.namespace NULLS FIRST, i.object_id
LIMIT %(limit)s

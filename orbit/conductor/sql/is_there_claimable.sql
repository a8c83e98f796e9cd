-- Is there a task that a claim could take? One entry of an index each, however many there are.
-- ORDER BY keeps the planner from going through the history; EXISTS would ignore it.
SELECT (
        SELECT true FROM orbit_conductortask t WHERE t.ready ORDER BY t.namespace LIMIT 1
    ) IS NOT NULL
    OR (
        SELECT true
        FROM orbit_conductortask t
        WHERE t.lease_expires_at IS NOT NULL   -- the condition of the index
          AND t.lease_expires_at <= now()
        ORDER BY t.lease_expires_at
        LIMIT 1
    ) IS NOT NULL

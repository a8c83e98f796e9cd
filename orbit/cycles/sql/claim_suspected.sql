-- Claim the oldest due cycle that must run alone, unless one runs alone anywhere.
-- The first columns say where to look next; a row without a cycle has only these.
-- Call it under a lock, in a statement of its own: it must see what the lock's last holder committed.
-- params: alone text
WITH {{suspected_due}},
due AS MATERIALIZED (   -- fences the planner: a nested loop could take more than the limit
    SELECT c.id, c.lease_owner IS NOT NULL AS ran_out
    FROM looked
    JOIN orbit_cyclerun c ON c.id = looked.id
    WHERE {{is_claimable}}
      AND c.resumes >= {{alone_from}}
      AND NOT EXISTS (
          SELECT 1
          FROM orbit_cyclerun h
          WHERE h.lease_owner IS NOT NULL   -- the condition of the index
            AND h.lease_owner LIKE %(alone)s
            AND h.lease_expires_at > now()   -- a worker that was killed holds it until then
      )
    ORDER BY c.next_due_at, c.id
    LIMIT 1
    FOR NO KEY UPDATE OF c SKIP LOCKED
),
taken AS (
    {{take_leases}}
)
SELECT edge.next_due_at, edge.id, taken.*
FROM (SELECT) AS one
LEFT JOIN edge ON true
LEFT JOIN taken ON true

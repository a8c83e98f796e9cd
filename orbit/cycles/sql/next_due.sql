-- When the next free cycle is due. Reads the index up to the first one that the gate lets pass.
SELECT c.next_due_at
FROM orbit_cyclerun c
WHERE c.next_due_at IS NOT NULL   -- the condition of the index
  AND c.lease_owner IS NULL   -- maintenance finds those whose lease ran out
  AND {{gate_is_open(c.namespace)}}
ORDER BY c.next_due_at
LIMIT 1

-- How many cycles are due although their wake-up should have come long ago; counts up to `most`.
-- params: late float8, most int
SELECT count(*)
FROM (
    SELECT 1
    FROM orbit_cyclerun AS c
    -- a cycle that just became due has a wake-up of its own
    WHERE c.next_due_at <= now() - %(late)s * interval '1 second'
      AND (c.lease_expires_at IS NULL OR c.lease_expires_at <= now())   -- free, or abandoned
      AND {{gate_is_open(c.namespace)}}
    LIMIT %(most)s   -- no more wake-ups than there are workers
) AS forgotten

-- How many cycles are due although their wake-up should have come long ago; counts up to `most`.
-- params: late float8, most int
SELECT count(*)
FROM (
    SELECT 1
    FROM orbit_cyclerun AS c
    WHERE c.next_due_at <= now() - %(late)s * interval '1 second'   -- a cycle that just became due has its own wake-up
      AND (c.lease_expires_at IS NULL OR c.lease_expires_at <= now())   -- free, or its worker is gone
      AND {{gate_is_open(c.namespace)}}
    LIMIT %(most)s
) AS forgotten

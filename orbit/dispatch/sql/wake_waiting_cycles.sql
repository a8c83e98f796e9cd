-- Make cycles due that wait for an endpoint whose circuit closed.
-- `resumes < 2` and its counterpart are conditions of indexes (``fence.ALONE_FROM``).
UPDATE orbit_cyclerun c
SET next_due_at = CASE
        WHEN c.lease_owner IS NULL THEN clock_timestamp()
        ELSE c.next_due_at
    END,
    -- The worker that holds the cycle may be about to give it back for minutes: look again first.
    requeues = c.requeues + (c.lease_owner IS NOT NULL)::int
WHERE c.id IN (
    SELECT id FROM ({{waiting_for(w.resumes < 2)}}) AS usual
    UNION ALL
    SELECT id FROM ({{waiting_for(w.resumes >= 2)}}) AS suspected
)
RETURNING c.id

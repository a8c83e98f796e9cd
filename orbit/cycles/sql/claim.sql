-- Claim cycles that are due: take their leases and raise their fencing tokens.
-- params: limit int, alone bool
WITH due AS MATERIALIZED (   -- fences the planner: a nested loop could take more than the limit
    SELECT c.id, c.lease_owner IS NOT NULL AS ran_out
    FROM orbit_cyclerun c
    WHERE c.next_due_at <= now()
      AND (c.lease_expires_at IS NULL OR c.lease_expires_at <= now())   -- free, or abandoned
      AND (c.resumes >= {{alone_from}}) = %(alone)s   -- cycles that were resumed often: one by one
      AND {{gate_is_open(c.namespace)}}
    ORDER BY c.next_due_at, c.id
    LIMIT %(limit)s
    -- workers claim side by side; inserts of child rows don't wait for this lock
    FOR NO KEY UPDATE OF c SKIP LOCKED
)
{{take_leases}}

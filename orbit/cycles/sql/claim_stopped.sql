-- Claim cycles that are halted or paused and of which a lost worker left attempts open. It costs
-- nothing while nothing is stopped, and else starts from the open attempts, which are few.
-- params: limit int
WITH due AS MATERIALIZED (   -- fences the planner: a nested loop could take more than the limit
    SELECT c.id, c.lease_owner IS NOT NULL AS ran_out
    FROM orbit_cyclerun c
    WHERE c.next_due_at <= now()
      AND (c.lease_expires_at IS NULL OR c.lease_expires_at <= now())   -- free, or abandoned
      AND EXISTS (
        SELECT 1 FROM governance_stop h WHERE h.ended_at IS NULL AND h.kind IN ('halt', 'pause')
    )
      AND c.id = ANY(ARRAY(
        SELECT j.cycle_id
        FROM orbit_deliveryreceipt r
        JOIN orbit_dispatchjob j ON j.id = r.job_id
        WHERE r.status = 'sending'
    ))
      AND NOT ({{gate_is_open(c.namespace)}})
    ORDER BY c.next_due_at, c.id
    LIMIT %(limit)s
    FOR NO KEY UPDATE OF c SKIP LOCKED   -- inserts of child rows don't wait for this lock
)
{{take_leases}}

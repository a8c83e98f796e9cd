-- Claim cycles that are halted or paused and of which a lost worker left attempts open.
-- params: limit int
WITH in_flight AS MATERIALIZED (   -- start from the open attempts, which are few
    SELECT DISTINCT j.cycle_id AS id
    FROM orbit_deliveryreceipt r
    JOIN orbit_dispatchjob j ON j.id = r.job_id
    WHERE r.status = 'sending'
      AND EXISTS (   -- while nothing is stopped, read nothing else
          SELECT 1
          FROM governance_stop h
          WHERE h.ended_at IS NULL
            AND h.kind IN ('halt', 'pause')
      )
),
due AS MATERIALIZED (   -- fences the planner: a nested loop could take more than the limit
    SELECT c.id, c.lease_owner IS NOT NULL AS ran_out
    FROM in_flight
    JOIN orbit_cyclerun c ON c.id = in_flight.id
    WHERE c.next_due_at <= now()
      AND (c.lease_expires_at IS NULL OR c.lease_expires_at <= now())   -- free, or abandoned
      AND NOT ({{gate_is_open(c.namespace)}})
    ORDER BY c.next_due_at, c.id
    LIMIT %(limit)s
    -- workers claim side by side; inserts of child rows don't wait for this lock
    FOR NO KEY UPDATE OF c SKIP LOCKED
)
{{take_leases}}

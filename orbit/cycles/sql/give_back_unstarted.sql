-- Give back the cycles that `owner` holds and doesn't run: a claim whose answer was lost took them.
-- It may arrive late: what the process has claimed since `asked_at` isn't meant.
-- params: owner text, running uuid[], seconds float8, asked_at timestamptz
UPDATE orbit_cyclerun c
SET lease_owner = NULL,
    lease_expires_at = NULL,
    next_due_at = now()
WHERE c.next_due_at > now()   -- a held cycle is due when its lease ends: reads no backlog
  AND c.next_due_at <= now() + %(seconds)s * interval '1 second'
  AND c.lease_owner = %(owner)s
  AND c.lease_expires_at <= %(asked_at)s::timestamptz + %(seconds)s * interval '1 second'
  AND c.id <> ALL(%(running)s::uuid[])
  AND NOT EXISTS (   -- with an attempt that may be in flight, its lease has to run out
      SELECT 1
      FROM orbit_dispatchjob j
      JOIN orbit_deliveryreceipt r ON r.job_id = j.id
      WHERE j.cycle_id = c.id
        AND r.status = 'sending'
)
RETURNING c.id

-- Give a cycle up: end what is open, delete nothing. One fenced write.
-- Returns a row for each requeued job that has died, which needs a dead letter.
WITH {{locked}},              -- nothing is written unless the fencing token holds
cancelled AS (
    UPDATE orbit_dispatchjob j
    SET status = {{ended_status}},
        next_attempt_at = NULL,
        finished_at = clock_timestamp(),
        last_error = 'the cycle was given up'
    FROM locked
    WHERE j.cycle_id = locked.id
      AND j.status IN ('pending', 'sending')   -- what was delivered stays
    RETURNING j.id, j.status, j.cycle_id, j.endpoint_key
),
unknown AS (                  -- attempts that a lost worker left open may have arrived
    UPDATE orbit_deliveryreceipt r
    SET status = 'unknown',
        finished_at = clock_timestamp(),
        error = 'the cycle was given up'
    FROM cancelled
    WHERE r.job_id = cancelled.id
      AND r.status = 'sending'
),
{{finish_cycle}},
{{promote_next}},             -- the next queued cycle of the namespace
{{ledger}},                   -- what was delivered is metered
{{checkpoints}},
{{records}},
{{events}}
SELECT locked.id, died.id, died.endpoint_key
FROM locked
LEFT JOIN cancelled died ON died.cycle_id = locked.id AND died.status = 'dead'

-- Close attempts, and with the last delivery the cycle: one fenced write.
WITH {{locked}},              -- nothing is written unless the fencing token holds
{{close_attempts}},           -- receipts, jobs, and a dead letter for each job that is dead
{{update_circuits}},          -- what the answers say about the health of their endpoints
{{finish_cycle}},             -- status and lease, if this was the last delivery
{{promote_next}},             -- the next queued cycle of the namespace
{{ledger}},                   -- usage and value
{{checkpoints}},
{{records}},
{{events}}
SELECT id FROM locked

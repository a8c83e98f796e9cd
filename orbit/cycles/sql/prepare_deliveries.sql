-- Normalize the outputs of the tiers and enqueue their deliveries: one fenced write.
WITH {{locked}},              -- nothing is written unless the fencing token holds
{{normalization}},            -- the batch and its items
{{insert_jobs}},              -- a delivery for each item and endpoint
{{finish_cycle}},             -- status and lease, if there is nothing to deliver
{{promote_next}},             -- the next queued cycle of the namespace
{{ledger}},                   -- usage and value
{{checkpoints}},
{{records}},
{{events}}
SELECT id FROM locked

-- Everything that a quick cycle does before its deliveries: one fenced write.
WITH {{locked}},              -- nothing is written unless the fencing token holds
{{initiation}},               -- the initiation, made or reused
{{tiers(initiated.id, initiated, initiated.cycle_id)}},   -- what became of each tier
{{normalization}},            -- the batch and its items
{{insert_jobs}},              -- a delivery for each item and endpoint
{{finish_cycle}},             -- status and lease, if there is nothing to deliver
{{promote_next}},             -- the next queued cycle of the namespace
{{ledger}},                   -- usage and value
{{checkpoints}},
{{records}},
{{events}}
SELECT locked.id, initiated.id FROM locked JOIN initiated ON initiated.cycle_id = locked.id

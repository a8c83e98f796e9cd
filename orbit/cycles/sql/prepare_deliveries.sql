-- Normalize the outputs of the tiers and enqueue their deliveries: one fenced write.
WITH {{locked}},              -- nothing is written unless the fencing token holds
{{normalization}},            -- the batch and its items
{{insert_jobs}},              -- a delivery for each item and endpoint; the first ones begin
{{finish_cycle}},             -- status and lease, if there is nothing to deliver
{{promote_next}},             -- the next queued cycle of the namespace
{{ledger}},                   -- usage and value
{{checkpoints}},
{{records}},
{{events}}
SELECT locked.id, begun.receipt_id, begun.state_id
FROM locked
LEFT JOIN begun ON begun.cycle_id = locked.id   -- LEFT: a row without receipt says that the fence held

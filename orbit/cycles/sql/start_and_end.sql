-- Start and end a quick cycle that has nothing to deliver: one fenced write.
WITH {{locked}},              -- nothing is written unless the fencing token holds
{{initiation}},               -- the initiation, made or reused
{{tiers(initiated.id, initiated, initiated.cycle_id)}},   -- what became of each tier
{{normalization}},            -- the batch and its items
{{insert_jobs}},              -- none: for the answer, which is as with deliveries
{{finish_cycle}},             -- status and lease
{{promote_next}},             -- the next queued cycle of the namespace
{{ledger}},                   -- usage and value
{{checkpoints}},
{{records}},
{{events}}
SELECT locked.id, initiated.id, begun.receipt_id, begun.state_id
FROM locked
JOIN initiated ON initiated.cycle_id = locked.id
LEFT JOIN begun ON begun.cycle_id = locked.id   -- LEFT: a row without receipt says that the fence held

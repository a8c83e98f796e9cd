-- Everything that a quick cycle does before its deliveries: one fenced write. It can't end the cycle
-- (start_and_end.sql does): each part costs time, also one that has nothing to do.
WITH {{locked}},              -- nothing is written unless the fencing token holds
{{initiation}},               -- the initiation, made or reused
{{tiers(initiated.id, initiated, initiated.cycle_id)}},   -- what became of each tier
{{normalization}},            -- the batch and its items
{{insert_jobs}},              -- a delivery for each item and endpoint; the first ones begin
{{checkpoints}},
{{records}},
{{events}}
SELECT locked.id, initiated.id, begun.receipt_id, begun.state_id
FROM locked
JOIN initiated ON initiated.cycle_id = locked.id
LEFT JOIN begun ON begun.cycle_id = locked.id   -- LEFT: a row without receipt says that the fence held

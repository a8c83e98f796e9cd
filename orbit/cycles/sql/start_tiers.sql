-- Initiation and tiers of a quick cycle of which a tier has to be tried again: one fenced write.
WITH {{locked}},              -- nothing is written unless the fencing token holds
{{initiation}},               -- the initiation, made or reused
{{tiers(initiated.id, initiated, initiated.cycle_id)}},   -- what became of each tier
{{checkpoints}},
{{records}},
{{events}}
SELECT locked.id, initiated.id FROM locked JOIN initiated ON initiated.cycle_id = locked.id

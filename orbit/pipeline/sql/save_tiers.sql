-- Save what became of attempts of tiers, for cycles that are initiated.
WITH {{locked}},
{{tiers(x.initiation_id, locked, locked.id)}},
{{checkpoints}},
{{records}},
{{events}}
SELECT id FROM locked

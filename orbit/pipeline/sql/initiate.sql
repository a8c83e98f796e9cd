-- Initiate cycles and begin their records.
WITH {{locked}},
{{initiation}},
{{checkpoints}},
{{records}},
{{events}}
SELECT locked.id, initiated.id
FROM locked
JOIN initiated ON initiated.cycle_id = locked.id

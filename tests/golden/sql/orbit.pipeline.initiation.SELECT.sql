SELECT locked.id, initiated.id
FROM locked
JOIN initiated ON initiated.cycle_id = locked.id

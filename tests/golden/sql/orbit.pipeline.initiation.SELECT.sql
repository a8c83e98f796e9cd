SELECT locked.id, found.id
FROM locked
JOIN found ON found.cycle_id = locked.id

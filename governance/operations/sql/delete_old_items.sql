-- Delete items of runs that ended before the retention. A run may have many: they go first.
DELETE FROM governance_operationrunitem
WHERE id IN (
    SELECT i.id
    FROM ({{old_runs}}) AS old
    JOIN governance_operationrunitem i ON i.run_id = old.id
    LIMIT %(most)s
)

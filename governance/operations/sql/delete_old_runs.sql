-- Delete runs that ended before the retention and have no items any more.
DELETE FROM governance_operationrun
WHERE id IN (
    SELECT old.id
    FROM ({{old_runs}}) AS old
    WHERE NOT EXISTS (SELECT 1 FROM governance_operationrunitem i WHERE i.run_id = old.id)
)

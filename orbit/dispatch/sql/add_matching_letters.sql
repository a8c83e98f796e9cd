-- Make the oldest open dead letters that match a filter the items of a run; return how many match,
-- one more than `limit` if there are more.
-- params: run uuid, limit int
WITH matching AS MATERIALIZED (
    SELECT l.id
    FROM orbit_deadletterdispatch l
    WHERE {{letter_matches}}
    ORDER BY l.id
    LIMIT %(limit)s + 1   -- one more shows that there are more
),
added AS (
    INSERT INTO governance_operationrunitem (run_id, object_id)
    SELECT %(run)s, id
    FROM matching
    ORDER BY id
    LIMIT %(limit)s
)
SELECT count(*) FROM matching

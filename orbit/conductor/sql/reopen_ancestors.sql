-- Make the failed ancestors of a task run again. Returns of each the state before, how many of its
-- children have failed for good, and how many it tolerates; null: any number.
-- params: parent_id text
WITH RECURSIVE ancestors AS (
    SELECT t.id, t.parent_id
    FROM orbit_conductortask t
    WHERE t.id = %(parent_id)s
    UNION ALL
    SELECT t.id, t.parent_id
    FROM ancestors a
    JOIN orbit_conductortask t ON t.id = a.parent_id
),
locked AS MATERIALIZED (
    SELECT t.id, t.run_id, t.state
    FROM orbit_conductortask t
    WHERE t.id IN (SELECT id FROM ancestors)
    ORDER BY t.id
    FOR NO KEY UPDATE
),
changed AS (
    UPDATE orbit_conductortask t
    SET state = 'RUNNING', finished_at = NULL, error = NULL
    WHERE t.id IN (SELECT id FROM locked WHERE state = 'FAILED')
    RETURNING t.*
),
{{events}},
go_on AS (
    UPDATE orbit_conductorparent p
    SET {{goes_on}}
    WHERE p.task_id IN (SELECT id FROM changed)
)
SELECT l.id, l.state,
    p.failed + (
        SELECT coalesce(sum(w.failed), 0)::int
        FROM orbit_conductortally w
        WHERE w.run_id = l.run_id AND w.parent_id = l.id
    ),
    CASE p.failure_policy WHEN 'fail_fast' THEN 0 WHEN 'tolerate' THEN p.tolerated END
FROM locked l
JOIN orbit_conductorparent p ON p.task_id = l.id

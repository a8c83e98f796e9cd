-- Make the failed ancestors of a task run again. Returns the state of each before.
-- params: parent_id text
WITH RECURSIVE ancestors AS (
    SELECT t.id, t.parent_id, t.state
    FROM orbit_conductortask t
    WHERE t.id = %(parent_id)s
    UNION ALL
    SELECT t.id, t.parent_id, t.state
    FROM ancestors a
    JOIN orbit_conductortask t ON t.id = a.parent_id
),
locked AS MATERIALIZED (
    SELECT t.id, t.state
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
SELECT id, state FROM locked

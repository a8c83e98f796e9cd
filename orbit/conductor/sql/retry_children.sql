-- Make the failed tasks under a parent ready again; failed parents among them run again.
-- params: id text, run_id text
WITH RECURSIVE failed AS MATERIALIZED (
    SELECT t.id, t.parent_id, t.is_parent
    FROM orbit_conductortask t
    WHERE t.run_id = %(run_id)s AND t.state = 'FAILED' AND NOT t.ready
),
below AS (
    SELECT f.* FROM failed f WHERE f.parent_id = %(id)s
    UNION ALL
    SELECT f.* FROM failed f JOIN below b ON f.parent_id = b.id
),
locked AS MATERIALIZED (
    SELECT t.id, t.is_parent
    FROM orbit_conductortask t
    WHERE t.id IN (SELECT b.id FROM below b) AND t.state = 'FAILED' AND NOT t.ready
    ORDER BY t.id
    FOR NO KEY UPDATE
),
resumed AS (
    UPDATE orbit_conductorparent p SET is_cancelling = false
    WHERE p.task_id IN (SELECT l.id FROM locked l WHERE l.is_parent) AND p.is_cancelling
),
changed AS (
    UPDATE orbit_conductortask t SET
        state = CASE WHEN t.is_parent THEN 'RUNNING' ELSE 'FAILED' END,
        ready = NOT t.is_parent,
        error = CASE WHEN NOT t.is_parent THEN t.error END,
        max_attempts = greatest(t.max_attempts, t.attempt + 1),
        finished_at = NULL
    FROM locked l
    WHERE l.id = t.id
    RETURNING t.is_parent
)
SELECT count(*) FILTER (WHERE NOT c.is_parent) FROM changed c

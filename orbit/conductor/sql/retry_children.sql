-- Make the failed tasks under a parent ready again; the failed parents between run again.
-- A failed parent without such a task stays as it is: nothing would end it.
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
retried AS (
    SELECT b.* FROM below b WHERE NOT b.is_parent
    UNION
    SELECT b.* FROM below b JOIN retried r ON r.parent_id = b.id
),
locked AS MATERIALIZED (
    SELECT t.id, t.is_parent
    FROM orbit_conductortask t
    WHERE t.id IN (SELECT r.id FROM retried r) AND t.state = 'FAILED' AND NOT t.ready
    ORDER BY t.id
    FOR NO KEY UPDATE
),
resumed AS (
    UPDATE orbit_conductorparent p SET is_cancelling = false
    WHERE p.task_id IN (SELECT l.id FROM locked l WHERE l.is_parent) AND p.is_cancelling
),
children AS (
    UPDATE orbit_conductortask t SET
        state = CASE WHEN t.is_parent THEN 'RUNNING' ELSE 'FAILED' END,
        ready = NOT t.is_parent,
        error = CASE WHEN NOT t.is_parent THEN t.error END,
        max_attempts = CASE
            WHEN t.is_parent THEN t.max_attempts ELSE greatest(t.max_attempts, t.attempt + 1) END,
        finished_at = NULL
    FROM locked l
    WHERE l.id = t.id
    RETURNING t.*
),
-- The others stay FAILED until they are claimed.
changed AS (SELECT c.* FROM children c WHERE c.is_parent),
{{events}}
SELECT count(*) FILTER (WHERE NOT c.is_parent) FROM children c

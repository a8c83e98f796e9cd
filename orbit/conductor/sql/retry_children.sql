-- Make the next failed children of a parent ready again; parents among them run again, and theirs
-- come next. Returns the last index that is done; how many were retried; whether nothing is left;
-- the parents among them.
-- A task that another transaction holds is left for the next time, see cancel_tasks.sql.
-- params: id text, up_to int, tasks int
WITH next AS MATERIALIZED (
    SELECT t.id, t.index, t.ready, t.is_parent
    FROM orbit_conductortask t
    WHERE t.parent_id = %(id)s AND t.state = 'FAILED' AND t.index > %(up_to)s
      -- It may have been cancelled meanwhile.
      AND (SELECT p.state = 'RUNNING' FROM orbit_conductortask p WHERE p.id = %(id)s)
    ORDER BY t.index
    LIMIT %(tasks)s
),
failed AS MATERIALIZED (
    SELECT n.id, n.index
    FROM next n
    WHERE NOT n.ready
      -- A bad `input.fanout` is as bad the next time.
      AND (NOT n.is_parent OR (
          SELECT p.fanout IS NOT NULL FROM orbit_conductorparent p WHERE p.task_id = n.id))
),
locked AS MATERIALIZED (
    SELECT t.id
    FROM orbit_conductortask t
    WHERE t.id IN (SELECT id FROM failed) AND t.state = 'FAILED' AND NOT t.ready
    FOR NO KEY UPDATE SKIP LOCKED
),
retried AS (
    UPDATE orbit_conductortask t
    SET state = CASE WHEN t.is_parent THEN 'RUNNING' ELSE 'FAILED' END,
        ready = NOT t.is_parent,
        error = CASE WHEN NOT t.is_parent THEN t.error END,
        max_attempts = greatest(t.max_attempts, t.attempt + 1),
        finished_at = NULL
    WHERE t.id IN (SELECT id FROM locked)
    RETURNING t.*
),
changed AS (
    SELECT * FROM retried WHERE is_parent
),
{{events}},
below AS (
    UPDATE orbit_conductorparent p
    SET {{again}}
    WHERE p.task_id IN (SELECT id FROM changed)
)
SELECT coalesce(
        (SELECT min(f.index) - 1 FROM failed f WHERE f.id NOT IN (SELECT id FROM locked)),
        (SELECT max(n.index) FROM next n),
        %(up_to)s
    ),
    (SELECT count(*)::int FROM retried),
    (SELECT count(*) FROM next) < %(tasks)s
        AND (SELECT count(*) FROM failed) = (SELECT count(*) FROM locked),
    ARRAY(SELECT id FROM changed ORDER BY index)

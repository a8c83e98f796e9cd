-- Delete the last tasks of a run below `below`, in order of their ids: children were made after
-- their parents. A parent that was handed in after its children stays for the next round.
-- params: run text, below text, limit int
WITH batch AS MATERIALIZED (
    SELECT t.id, t.is_parent
    FROM orbit_conductortask t
    WHERE t.run_id = %(run)s AND t.id < %(below)s
    ORDER BY t.id DESC
    LIMIT %(limit)s
),
gone AS MATERIALIZED (
    SELECT b.id
    FROM batch b
    WHERE NOT b.is_parent
       OR NOT EXISTS (
           SELECT 1
           FROM orbit_conductortask k
           WHERE k.parent_id = b.id
             AND NOT EXISTS (SELECT 1 FROM batch x WHERE x.id = k.id AND NOT x.is_parent)
       )
),
parents AS (
    DELETE FROM orbit_conductorparent WHERE task_id IN (SELECT id FROM gone) RETURNING 1
),
tasks AS (
    DELETE FROM orbit_conductortask WHERE id IN (SELECT id FROM gone) RETURNING 1
)
SELECT
    (SELECT count(*) FROM batch),
    (SELECT count(*) FROM batch WHERE is_parent),
    (SELECT min(id) FROM batch),
    (SELECT count(*) FROM tasks),
    (SELECT count(*) FROM parents)

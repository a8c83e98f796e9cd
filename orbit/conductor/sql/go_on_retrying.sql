-- Note how far the retry of a parent's children came. At its end, aggregate looks at the parent,
-- which it left alone until then.
-- params: id text, up_to int, is_last bool
WITH noted AS (
    UPDATE orbit_conductorparent p
    SET retried_up_to = %(up_to)s, is_retrying = NOT %(is_last)s
    WHERE p.task_id = %(id)s
    RETURNING p.task_id, p.is_retrying
)
INSERT INTO orbit_conductortally (run_id, parent_id)
SELECT t.run_id, t.id
FROM noted n
JOIN orbit_conductortask t ON t.id = n.task_id
WHERE NOT n.is_retrying

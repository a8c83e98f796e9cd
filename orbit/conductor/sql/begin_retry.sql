-- Let the failed children of a parent be retried.
-- params: id text
UPDATE orbit_conductorparent p
SET {{again}}
WHERE p.task_id = %(id)s

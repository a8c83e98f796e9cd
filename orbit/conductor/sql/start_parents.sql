-- Start parents that have all their children, as those have that were handed in with them: a child
-- of theirs has changed before a fan-out came.
-- params: parents text[]
WITH complete AS (
    UPDATE orbit_conductorparent p
    SET is_fanned_out = true
    FROM orbit_conductortask t
    WHERE p.task_id = ANY(%(parents)s::text[])
      AND p.fanned_out = p.fanout
      AND t.id = p.task_id
      AND t.state = 'PENDING'
    RETURNING p.task_id
),
changed AS (
    UPDATE orbit_conductortask t
    SET state = 'RUNNING', started_at = statement_timestamp()
    WHERE t.id IN (SELECT task_id FROM complete)
      AND t.state = 'PENDING'
    RETURNING t.*
),
{{events}}
SELECT count(*)::int FROM changed

-- Fail locked parents, each with its error. Returns how many.
-- params: ids text[], errors text[]
WITH changed AS (
    UPDATE orbit_conductortask t
    SET state = 'FAILED', finished_at = statement_timestamp(), error = b.error
    FROM unnest(%(ids)s::text[], %(errors)s::text[]) b(id, error)
    WHERE t.id = b.id COLLATE "C" AND t.state = 'RUNNING'
    RETURNING t.*
),
{{events}},
no_more AS (
    UPDATE orbit_conductorparent p
    SET is_fanned_out = true
    WHERE p.task_id IN (SELECT id FROM changed)
)
SELECT count(*)::int FROM changed

-- Start locked parents that fail at once: a task runs before it fails.
-- params: ids text[]
WITH changed AS (
    UPDATE orbit_conductortask t
    SET state = 'RUNNING', started_at = statement_timestamp()
    WHERE t.id = ANY(%(ids)s::text[]) AND t.state = 'PENDING'
    RETURNING t.*
),
{{events}}
SELECT count(*)::int FROM changed

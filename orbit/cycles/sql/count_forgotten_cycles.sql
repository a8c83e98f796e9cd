-- How many cycles are due although their wake-up should have come long ago; counts up to `most`.
-- Looks at a few. If more are due it counts one: a worker's claim looks behind these.
-- params: late float8, most int
WITH oldest AS MATERIALIZED (
    SELECT c.id
    FROM orbit_cyclerun AS c
    -- a cycle that just became due has a wake-up of its own
    WHERE c.next_due_at <= now() - %(late)s * interval '1 second'
      AND c.resumes < {{alone_from}}   -- the others run in a process of their own
      AND NOT EXISTS (SELECT 1 FROM {{pause}})   -- under a pause, read nothing
    ORDER BY c.next_due_at, c.id
    LIMIT {{looks}}
)
SELECT greatest(
    (
        SELECT count(*)
        FROM (
            SELECT 1
            FROM oldest
            JOIN orbit_cyclerun AS c ON c.id = oldest.id
            WHERE (c.lease_expires_at IS NULL OR c.lease_expires_at <= now())   -- free, or abandoned
              AND c.resumes < {{alone_from}}
              AND {{gate_is_open(c.namespace)}}
            LIMIT %(most)s   -- no more wake-ups than there are workers
        ) AS forgotten
    ),
    ((SELECT count(*) FROM oldest) = {{looks}})::int
)

-- Some of the oldest due cycles that must run alone, from a position on, and where they end.
-- params: since timestamptz, since_id uuid
looked AS MATERIALIZED (
    SELECT c.id, c.next_due_at, c.namespace
    FROM orbit_cyclerun c
    WHERE (c.next_due_at, c.id) > (%(since)s::timestamptz, %(since_id)s::uuid)
      AND c.next_due_at <= now()
      AND c.resumes >= {{alone_from}}   -- the condition of the index
    ORDER BY c.next_due_at, c.id
    LIMIT {{looks}}
),
edge AS (   -- none if no more are due
    SELECT looked.next_due_at, looked.id
    FROM looked
    ORDER BY looked.next_due_at, looked.id
    OFFSET {{looks}} - 1
    LIMIT 1
)

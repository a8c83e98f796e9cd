-- When the next free cycle is due, as far as a few of the oldest and of the next ones tell: behind
-- these may be any number of stopped ones. Maintenance finds what this doesn't see, and cycles whose
-- lease ran out or that run alone.
SELECT min(near.next_due_at)
FROM (
    (
        SELECT namespace, next_due_at, lease_owner
        FROM orbit_cyclerun
        WHERE next_due_at <= now()
          AND resumes < {{alone_from}}   -- the condition of the index
        ORDER BY next_due_at, id
        LIMIT {{looks}}
    )
    UNION ALL
    (
        SELECT namespace, next_due_at, lease_owner
        FROM orbit_cyclerun
        WHERE next_due_at > now()
          AND resumes < {{alone_from}}
          AND lease_owner IS NULL   -- passes over what runs now, which is little
        ORDER BY next_due_at, id
        LIMIT {{looks}}
    )
) AS near
WHERE near.lease_owner IS NULL
  AND {{gate_is_open(near.namespace)}}

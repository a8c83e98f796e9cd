-- The oldest due cycle that must run alone of each namespace that has one and is open.
-- The recursion jumps from namespace to namespace in the index.
RECURSIVE namespaces AS (
    (
        SELECT c.namespace AS name
        FROM orbit_cyclerun c
        WHERE c.next_due_at IS NOT NULL   -- with the next line, the condition of the index
          AND c.resumes >= {{alone_from}}
        ORDER BY c.namespace
        LIMIT 1
    )
    UNION ALL
    SELECT (
        SELECT c.namespace
        FROM orbit_cyclerun c
        WHERE c.next_due_at IS NOT NULL
          AND c.resumes >= {{alone_from}}
          AND c.namespace > w.name
        ORDER BY c.namespace
        LIMIT 1
    )
    FROM namespaces w
    WHERE w.name IS NOT NULL
),
suspected AS MATERIALIZED (
    SELECT oldest.id, oldest.next_due_at
    FROM namespaces w
    CROSS JOIN LATERAL (
        SELECT c.id, c.next_due_at
        FROM orbit_cyclerun c
        WHERE c.namespace = w.name
          AND c.next_due_at <= now()
          AND c.resumes >= {{alone_from}}
        ORDER BY c.next_due_at, c.id
        LIMIT 1
    ) AS oldest
    WHERE {{gate_is_open(w.name)}}
)

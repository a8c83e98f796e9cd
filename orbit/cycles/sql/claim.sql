-- Claim cycles that are due: take their leases and raise their fencing tokens.
-- Looks at the oldest due ones. If too few of them may run, looks at the oldest of some namespaces
-- that aren't halted too. So the cost doesn't follow the backlog, whatever is stopped.
-- The first columns say where to look next; a row without a cycle has only these.
-- params: limit int, after bigint
WITH front AS MATERIALIZED (   -- fences the planner: a nested loop could take more than the limit
    SELECT c.id, c.lease_owner IS NOT NULL AS ran_out, oldest.next_due_at
    FROM ({{oldest_due}} LIMIT {{looks}}) AS oldest
    JOIN orbit_cyclerun c ON c.id = oldest.id
    WHERE {{is_claimable}}
      AND c.resumes < {{alone_from}}   -- the others run alone: claim_suspected.sql
    ORDER BY oldest.next_due_at, oldest.id
    LIMIT %(limit)s
    -- workers claim side by side; inserts of child rows don't wait for this lock
    FOR NO KEY UPDATE OF c SKIP LOCKED
),
edge AS MATERIALIZED (   -- where this look ended, if too few were found and more are due
    SELECT oldest.next_due_at, oldest.id
    FROM ({{oldest_due}} OFFSET {{looks}} - 1 LIMIT 1) AS oldest
    WHERE (SELECT count(*) FROM front) < %(limit)s
),
namespaces AS MATERIALIZED (
    SELECT s.namespace_id, n.name
    FROM governance_governancesetting s
    JOIN governance_namespace n ON n.id = s.namespace_id
    WHERE EXISTS (SELECT 1 FROM edge)
      AND NOT s.halt   -- the condition of an index: halted ones are not read, however many
      AND s.namespace_id > %(after)s
    ORDER BY s.namespace_id
    LIMIT {{namespaces}}
),
heads AS MATERIALIZED (   -- the namespaces whose oldest cycles are the oldest
    SELECT namespaces.name, oldest.next_due_at, oldest.id
    FROM namespaces
    CROSS JOIN LATERAL ({{oldest_in_namespace(namespaces.name)}} LIMIT 1) AS oldest
    ORDER BY oldest.next_due_at, oldest.id
    LIMIT %(limit)s
),
behind AS MATERIALIZED (
    SELECT c.id, c.lease_owner IS NOT NULL AS ran_out
    FROM (
        SELECT oldest.id, oldest.next_due_at
        FROM heads
        CROSS JOIN LATERAL ({{oldest_in_namespace(heads.name)}} LIMIT %(limit)s) AS oldest
        ORDER BY oldest.next_due_at, oldest.id
        LIMIT {{looks}}
    ) AS oldest
    JOIN orbit_cyclerun c ON c.id = oldest.id
    WHERE {{is_claimable}}
      AND c.resumes < {{alone_from}}
      AND c.id NOT IN (SELECT id FROM front)
    ORDER BY oldest.next_due_at, oldest.id
    LIMIT %(limit)s - (SELECT count(*) FROM front)
    FOR NO KEY UPDATE OF c SKIP LOCKED
),
due AS MATERIALIZED (
    SELECT id, ran_out FROM front
    UNION ALL
    SELECT id, ran_out FROM behind
),
taken AS (
    {{take_leases}}
),
looked AS (
    SELECT
        first.next_due_at AS first_due,
        first.id AS first_id,
        edge.next_due_at AS edge_due,
        edge.id AS edge_id,
        -- a transaction that is still open may bring a cycle that has been due since it began
        now() - {{unsettled_seconds}} * interval '1 second' AS settled,
        (SELECT max(namespace_id) FROM namespaces HAVING count(*) = {{namespaces}}) AS after
    FROM (SELECT) AS one
    LEFT JOIN (SELECT next_due_at, id FROM front ORDER BY next_due_at, id LIMIT 1) AS first ON true
    LEFT JOIN edge ON true
)
SELECT looked.*, taken.*
FROM looked
LEFT JOIN taken ON true

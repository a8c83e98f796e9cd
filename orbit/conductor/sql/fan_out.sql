-- Make the next children: at most `max_fanout` in all. Returns how many each parent got, and has.
-- params: prefix text, max_fanout int, max_parents int
WITH parents AS MATERIALIZED (
    SELECT t.id, t.run_id, t.namespace, t.name, t.state, t.priority, t.max_attempts,
           p.failure_policy, p.tolerated, p.fanout, p.fanned_out,
           -- Children that are parents themselves keep their input: theirs is made from it.
           CASE WHEN jsonb_typeof(t.input -> 'child') = 'object' AND t.input -> 'child' ? 'fanout'
                THEN t.input -> 'child' END AS child
    FROM orbit_conductorparent p
    JOIN orbit_conductortask t ON t.id = p.task_id
    WHERE p.fanout IS NOT NULL
      AND {{may_fan_out(t, p)}}
      AND {{gate_lets_start(t.namespace)}}
    ORDER BY p.task_id
    LIMIT %(max_parents)s
    FOR NO KEY UPDATE OF p, t SKIP LOCKED   -- another pass makes the children of these
),
shares AS MATERIALIZED (
    SELECT x.*,
           least(x.fanout - x.fanned_out, %(max_fanout)s - x.before)::int AS number,
           CASE WHEN jsonb_typeof(x.child -> 'fanout') = 'number' THEN
               CASE WHEN (x.child -> 'fanout')::numeric BETWEEN 1 AND {{most_children}}
                         AND (x.child -> 'fanout')::numeric = trunc((x.child -> 'fanout')::numeric)
                    THEN (x.child -> 'fanout')::int END
           END AS child_fanout
    FROM (
        SELECT q.*, coalesce(sum(q.fanout - q.fanned_out) OVER (
            ORDER BY q.id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ), 0) AS before
        FROM parents q
    ) x
    WHERE x.before < %(max_fanout)s
),
children AS (
    INSERT INTO orbit_conductortask (
        id, run_id, parent_id, index, namespace, name, state, is_parent, ready, priority,
        max_attempts, input
    )
    SELECT
        -- A ULID: this pass's time and randomness, then the child's number in base 32.
        %(prefix)s
            || substr('{{alphabet}}', (g.number >> 20 & 31) + 1, 1)
            || substr('{{alphabet}}', (g.number >> 15 & 31) + 1, 1)
            || substr('{{alphabet}}', (g.number >> 10 & 31) + 1, 1)
            || substr('{{alphabet}}', (g.number >> 5 & 31) + 1, 1)
            || substr('{{alphabet}}', (g.number & 31) + 1, 1),
        s.run_id, s.id, g.index, s.namespace, s.name || '#' || g.index, 'PENDING',
        s.child IS NOT NULL, s.child IS NULL, s.priority, s.max_attempts,
        CASE WHEN s.child IS NOT NULL
             THEN s.child || jsonb_build_object('index', g.index) END
    FROM shares s
    CROSS JOIN LATERAL (
        SELECT s.fanned_out + i AS index, s.before::int + i AS number
        FROM generate_series(1, s.number) i
    ) g
    ON CONFLICT (parent_id, index) WHERE parent_id IS NOT NULL DO NOTHING
    RETURNING id, parent_id, is_parent
),
nested AS (
    INSERT INTO orbit_conductorparent (task_id, failure_policy, tolerated, fanout)
    SELECT c.id, s.failure_policy, s.tolerated, s.child_fanout
    FROM children c
    JOIN shares s ON s.id = c.parent_id
    WHERE c.is_parent
),
made AS MATERIALIZED (
    SELECT s.id, s.run_id, count(c.id)::int AS children
    FROM shares s
    LEFT JOIN children c ON c.parent_id = s.id
    GROUP BY s.id, s.run_id
),
counted AS (
    UPDATE orbit_conductorparent p
    SET fanned_out = s.fanned_out + s.number,
        is_fanned_out = s.fanned_out + s.number = s.fanout,
        pending = p.pending + m.children
    FROM shares s
    JOIN made m ON m.id = s.id
    WHERE p.task_id = s.id
),
changed AS (
    UPDATE orbit_conductortask t
    SET state = 'RUNNING', started_at = statement_timestamp()
    FROM shares s
    WHERE t.id = s.id AND s.state = 'PENDING'
    RETURNING t.*
),
{{events}},
-- Last, because each parent of a run needs it; in order, so that two passes don't wait in a circle.
runs AS MATERIALIZED (
    SELECT r.id
    FROM orbit_conductorrun r
    WHERE r.id IN (SELECT run_id FROM made)
    ORDER BY r.id
    FOR NO KEY UPDATE
),
added AS (
    UPDATE orbit_conductorrun r
    SET pending = r.pending + m.children
    FROM runs
    JOIN (SELECT run_id, sum(children) AS children FROM made GROUP BY run_id) m
        ON m.run_id = runs.id
    WHERE r.id = runs.id
)
SELECT s.id, s.name, m.children, s.fanned_out + s.number, s.fanout
FROM shares s
JOIN made m ON m.id = s.id
ORDER BY s.id

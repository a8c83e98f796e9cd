-- Make the next children: at most `max_fanout` in all. Returns the parents that were looked at: how
-- many each got, has and wants; its input if `input.fanout` is not valid; whether it gets no more.
-- params: prefix text, max_fanout int, max_parents int
WITH RECURSIVE {{waiting_namespaces}},
open AS MATERIALIZED (   -- by chance, so that none is always the last of very many
    SELECT w.namespace, random() AS turn, count(*) OVER () AS namespaces
    FROM waiting w
    WHERE w.namespace IS NOT NULL AND {{gate_lets_start(w.namespace)}}
),
-- Of each namespace those that have waited longest.
locked AS MATERIALIZED (
    SELECT l.*, r.cancel_requested_at IS NOT NULL OR l.state NOT IN ('PENDING', 'RUNNING') AS is_over
    FROM (SELECT * FROM open ORDER BY turn) o
    CROSS JOIN LATERAL (
        SELECT t.id, t.run_id, t.namespace, t.name, t.state, t.priority, t.max_attempts, t.input,
               p.failure_policy, p.tolerated, p.fanout, p.fanned_out, p.fanned_out_at
        FROM orbit_conductorparent p
        JOIN orbit_conductortask t ON t.id = p.task_id
        WHERE p.namespace = o.namespace AND {{to_fan_out(p)}}
        ORDER BY p.fanned_out_at, p.task_id
        LIMIT greatest(1, %(max_parents)s / o.namespaces)
        FOR NO KEY UPDATE OF p, t SKIP LOCKED   -- another pass makes the children of these
    ) l
    JOIN orbit_conductorrun r ON r.id = l.run_id
    LIMIT %(max_parents)s
),
parents AS MATERIALIZED (
    SELECT l.*,
           l.fanout - l.fanned_out AS rest,
           -- Children that are parents themselves keep their input: theirs is made from it.
           CASE WHEN jsonb_typeof(l.input -> 'child') = 'object' AND l.input -> 'child' ? 'fanout'
                THEN l.input -> 'child' END AS child,
           row_number() OVER (ORDER BY l.fanned_out_at, l.id) AS turn,
           greatest(1, %(max_fanout)s / count(*) OVER ()) AS quota
    FROM locked l
    WHERE NOT l.is_over AND l.fanout IS NOT NULL
),
-- Each gets its quota, so that a small one doesn't wait for a huge one. What is left of `max_fanout`
-- goes to them in turn.
quotas AS MATERIALIZED (
    SELECT q.*,
           greatest(0, least(q.wanted, %(max_fanout)s - (sum(q.wanted) OVER by_turn - q.wanted)))
               AS first
    FROM (SELECT p.*, least(p.rest, p.quota) AS wanted FROM parents p) q
    WINDOW by_turn AS (ORDER BY q.turn)
),
shares AS MATERIALIZED (
    SELECT y.*,
           sum(y.number) OVER (ORDER BY y.turn) - y.number AS before,
           CASE WHEN jsonb_typeof(y.child -> 'fanout') = 'number' THEN
               CASE WHEN (y.child -> 'fanout')::numeric BETWEEN 1 AND {{most_children}}
                         AND (y.child -> 'fanout')::numeric = trunc((y.child -> 'fanout')::numeric)
                    THEN (y.child -> 'fanout')::int END
           END AS child_fanout
    FROM (
        SELECT x.*, (x.first + greatest(0, least(x.rest - x.first, x.spare - x.more_before)))::int
            AS number
        FROM (
            SELECT q.*,
                   %(max_fanout)s - sum(q.first) OVER () AS spare,
                   sum(q.rest - q.first) OVER (ORDER BY q.turn) - (q.rest - q.first) AS more_before
            FROM quotas q
        ) x
    ) y
    WHERE y.number > 0
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
    INSERT INTO orbit_conductorparent (task_id, namespace, failure_policy, tolerated, fanout)
    SELECT c.id, s.namespace, s.failure_policy, s.tolerated, s.child_fanout
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
        fanned_out_at = clock_timestamp()
    FROM shares s
    WHERE p.task_id = s.id
),
-- Aggregate adds them to the parent and the run, whose row is not ours: a cancellation that holds it
-- waits for the tasks that we hold.
tallies AS (
    INSERT INTO orbit_conductortally (run_id, parent_id, pending)
    SELECT m.run_id, m.id, m.children FROM made m WHERE m.children > 0
),
started AS (
    UPDATE orbit_conductortask t
    SET state = 'RUNNING', started_at = statement_timestamp()
    FROM shares s
    WHERE t.id = s.id AND s.state = 'PENDING'
    RETURNING t.*
),
-- Cancelled ones, and those whose run is cancelled, get no more. No pass looks at them again.
left_out AS (
    UPDATE orbit_conductorparent p
    SET is_fanned_out = true
    WHERE p.task_id = ANY(ARRAY(SELECT l.id FROM locked l WHERE l.is_over))
),
dropped AS (
    UPDATE orbit_conductortask t
    SET state = 'CANCELLED', finished_at = statement_timestamp()
    WHERE t.id = ANY(ARRAY(
        SELECT l.id FROM locked l WHERE l.is_over AND l.state IN ('PENDING', 'RUNNING')))
    RETURNING t.*
),
changed AS (
    SELECT * FROM started
    UNION ALL
    SELECT * FROM dropped
),
{{events}}
SELECT l.id, l.name, coalesce(m.children, 0), l.fanned_out + coalesce(s.number, 0), l.fanout,
    CASE WHEN l.fanout IS NULL AND NOT l.is_over THEN l.input END, l.is_over
FROM locked l
LEFT JOIN shares s ON s.id = l.id
LEFT JOIN made m ON m.id = l.id
ORDER BY l.fanned_out_at, l.id

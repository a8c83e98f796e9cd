-- Claim tasks of the CTE `picked`, and cancel those of them whose parent or run has ended.
-- params: worker text, lease_seconds int, largest int, give int
-- Each parent and run is read once, however many of its tasks are picked. LIMIT keeps the planner
-- from reading the whole table instead.
parents AS MATERIALIZED (
    SELECT d.id, p.input, p.state IN ('SUCCEEDED', 'FAILED', 'CANCELLED') OR c.is_cancelling AS is_over
    FROM (SELECT DISTINCT k.parent_id AS id FROM picked k WHERE k.parent_id IS NOT NULL) AS d
    CROSS JOIN LATERAL (
        SELECT t.state, t.input FROM orbit_conductortask t WHERE t.id = d.id LIMIT 1) AS p
    CROSS JOIN LATERAL (
        SELECT x.is_cancelling FROM orbit_conductorparent x WHERE x.task_id = d.id LIMIT 1) AS c
),
runs AS MATERIALIZED (
    SELECT
        d.id, r.namespace, r.state = 'PENDING' AS is_new,
        r.state IN ('SUCCEEDED', 'FAILED', 'CANCELLED') OR r.cancel_requested_at IS NOT NULL AS is_over
    FROM (SELECT DISTINCT k.run_id AS id FROM picked k) AS d
    CROSS JOIN LATERAL (
        SELECT x.namespace, x.state, x.cancel_requested_at FROM orbit_conductorrun x WHERE x.id = d.id LIMIT 1
    ) AS r
),
seen AS MATERIALIZED (
    SELECT
        k.*, r.namespace, coalesce(p.is_over, false) OR r.is_over AS is_over
    FROM picked k
    JOIN runs r ON r.id = k.run_id
    LEFT JOIN parents p ON p.id = k.parent_id
),
-- The namespaces take turns: more may be picked than are given.
chosen AS (
    SELECT n.*
    FROM (
        SELECT
            m.*,
            row_number() OVER (PARTITION BY m.namespace ORDER BY m.priority DESC, m.id) AS place
        FROM seen m
        WHERE NOT m.is_over
    ) AS n
    ORDER BY n.place, random()
    LIMIT %(give)s::int
),
-- The answer has a bound: many tasks may share one large input.
taken AS MATERIALIZED (
    SELECT
        m.*,
        sum(octet_length(m.input)) OVER (ORDER BY m.priority DESC, m.id) - octet_length(m.input)
            AS before
    FROM (
        SELECT
            k.id, k.priority, k.state,
            coalesce(k.input, {{child_input(p.input, k.index)}}, '{}')::text AS input
        FROM chosen k
        LEFT JOIN parents p ON p.id = k.parent_id
    ) AS m
),
started AS (
    UPDATE orbit_conductortask t SET
        state = 'RUNNING',
        ready = false,
        attempt = t.attempt + 1,
        lease_token = gen_random_uuid(),
        lease_seconds = %(lease_seconds)s::int,
        lease_expires_at = clock_timestamp() + make_interval(secs => %(lease_seconds)s::int),
        worker = %(worker)s,
        started_at = CASE WHEN t.state = 'RUNNING' THEN t.started_at ELSE clock_timestamp() END,
        finished_at = NULL
    WHERE t.id = ANY(ARRAY(
        SELECT k.id FROM taken k WHERE k.before < %(largest)s))
    RETURNING
        t.id, t.run_id, t.namespace, t.name, t.priority, t.state, t.started_at, t.attempt,
        t.state_changed_at, t.lease_token, t.lease_expires_at
),
dropped AS (
    UPDATE orbit_conductortask t SET
        state = 'CANCELLED', ready = false, lease_token = NULL, finished_at = clock_timestamp()
    WHERE t.id = ANY(ARRAY(SELECT k.id FROM seen k WHERE k.is_over))
    RETURNING
        t.id, t.run_id, t.namespace, t.name, t.priority, t.state, t.started_at,
        t.state_changed_at
),
-- A task that was released, or whose lease expired, has been RUNNING all the time.
changed AS (
    SELECT
        s.id, s.run_id, s.namespace, s.name, s.priority, s.state, s.started_at,
        s.state_changed_at
    FROM started s
    JOIN taken k ON k.id = s.id
    WHERE k.state <> 'RUNNING'
    UNION ALL
    SELECT * FROM dropped
),
{{events}},
begun AS (
    UPDATE orbit_conductorrun r SET
        state = 'RUNNING', started_at = coalesce(r.started_at, clock_timestamp())
    WHERE r.id = ANY(ARRAY(
        SELECT x.id
        FROM orbit_conductorrun x
        WHERE x.id = ANY(ARRAY(SELECT d.id FROM runs d JOIN started s ON s.run_id = d.id WHERE d.is_new))
          AND x.state = 'PENDING'
        ORDER BY x.id
        FOR NO KEY UPDATE SKIP LOCKED))   -- who holds it does the same
)
SELECT
    n.dropped, n.expired, s.id, s.run_id, s.name, s.namespace, s.priority, s.attempt, k.input,
    s.lease_token, s.lease_expires_at
FROM (
    SELECT
        (SELECT count(*) FROM dropped) AS dropped,
        -- ORDER BY keeps the planner to the index; EXISTS would ignore it.
        (
            SELECT true FROM orbit_conductortask t WHERE t.lease_expires_at <= now()
            ORDER BY t.lease_expires_at LIMIT 1
        ) IS NOT NULL AS expired
) AS n
LEFT JOIN (started s JOIN taken k ON k.id = s.id) ON true
ORDER BY s.priority DESC, s.id

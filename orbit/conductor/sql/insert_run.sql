-- Insert a run with its tasks and what its parents need.
-- params: id text, name text, namespace text, created_by text, roots int, tasks jsonb
WITH given AS MATERIALIZED (
    SELECT x.*
    FROM jsonb_to_recordset(%(tasks)s::jsonb) AS x(
        id text, parent_id text, index int, name text, is_parent boolean, priority int,
        max_attempts int, input jsonb, failure_policy text, tolerated int, fanout int, children int
    )
),
run AS (
    INSERT INTO orbit_conductorrun (id, name, namespace, state, created_by, pending, open_roots)
    SELECT %(id)s, %(name)s, %(namespace)s, 'PENDING', %(created_by)s, count(*), %(roots)s
    FROM given
),
tasks AS (
    INSERT INTO orbit_conductortask (
        id, run_id, parent_id, index, namespace, name, state, is_parent, ready, priority,
        max_attempts, input
    )
    SELECT g.id, %(id)s, g.parent_id, g.index, %(namespace)s, g.name, 'PENDING', g.is_parent,
           NOT g.is_parent, g.priority, g.max_attempts, g.input
    FROM given g
)
INSERT INTO orbit_conductorparent (
    task_id, namespace, failure_policy, tolerated, fanout, fanned_out, is_fanned_out, pending
)
-- Children that came along are made already; aggregate starts such a parent with the first of them.
SELECT g.id, %(namespace)s, g.failure_policy, g.tolerated, g.fanout, g.children, g.children > 0,
       g.children
FROM given g
WHERE g.is_parent

-- The ticks of some schedules in a week: per schedule, hour and outcome how many, and the newest.
-- params: names text[], since timestamptz, until timestamptz, most int
WITH ticks AS MATERIALIZED (
    SELECT t.*
    FROM unnest(%(names)s::text[]) AS given(name)
    CROSS JOIN LATERAL (
        SELECT t.id, t.schedule, t.due_at, t.outcome
        FROM orbit_crontick t
        WHERE t.schedule = given.name
          AND t.due_at >= %(since)s
          AND t.due_at < %(until)s
        ORDER BY t.due_at DESC
        LIMIT %(most)s   -- a week of `* * * * *` has 10,080
    ) AS t
),
hours AS (
    SELECT
        schedule, outcome, count(*) AS count, max(due_at) AS due_at,
        (array_agg(id ORDER BY due_at DESC))[1] AS id
    FROM ticks
    GROUP BY schedule, outcome, date_trunc('hour', due_at)
)
SELECT
    h.schedule, h.due_at, h.outcome, h.count, h.id,
    -- the cycle that it started, or that was in its way
    coalesce(
        t.detail ->> 'cycle_run_id',
        t.detail ->> 'active_cycle_run_id',
        t.detail #>> '{results,0,cycle_run_id}',
        substring(t.detail ->> 'detail' FROM '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}')
    ),
    left(coalesce(t.detail ->> 'detail', ''), 300), t.detail ->> 'no_cluster_from'
FROM hours h
CROSS JOIN LATERAL (   -- row by row: for a join the planner might read the whole table
    SELECT c.detail FROM orbit_crontick c WHERE c.id = h.id OFFSET 0
) AS t
ORDER BY h.due_at, h.schedule

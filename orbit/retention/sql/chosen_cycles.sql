-- CTEs that look at the next cycles that finished long ago. A cycle and its re-runs go together:
-- they refer to each other's tiers, items and jobs. `judged` has each family whose first end is in
-- the batch, with the reason why it is kept, or null.
-- params: until timestamptz, after_at timestamptz, after_id uuid, limit int,
-- params: profiles text[], namespaces text[], froms timestamptz[], tos timestamptz[]
batch AS MATERIALIZED (
    SELECT c.id, c.finished_at
    FROM orbit_cyclerun c
    WHERE c.finished_at IS NOT NULL
      AND (c.finished_at, c.id) > (%(after_at)s::timestamptz, %(after_id)s::uuid)
      AND c.finished_at <= %(until)s::timestamptz
    ORDER BY c.finished_at, c.id
    LIMIT %(limit)s
),
climb AS (   -- up to the first cycle of each family
    SELECT c.id, c.rerun_of
    FROM batch
    JOIN orbit_cyclerun c ON c.id = batch.id
    UNION
    SELECT c.id, c.rerun_of
    FROM climb
    JOIN orbit_cyclerun c ON c.id = climb.rerun_of
),
family AS (   -- and down again
    SELECT id AS root, id FROM climb WHERE rerun_of IS NULL
    UNION
    SELECT f.root, r.id
    FROM family f
    JOIN orbit_cyclerun r ON r.rerun_of = f.id
),
judged AS MATERIALIZED (
    SELECT
        f.root,
        count(*) AS members,
        count(*) FILTER (WHERE c.finished_at <= %(until)s::timestamptz) AS due,
        CASE
            WHEN bool_or(c.finished_at IS NULL) THEN 'an active cycle refers to it'
            WHEN bool_or(c.next_due_at IS NOT NULL OR c.lease_owner IS NOT NULL)
                THEN 'its deliveries are open'
            WHEN bool_or(c.finished_at > %(until)s::timestamptz)
                THEN 'a re-run of it finished later'
            WHEN bool_or(EXISTS (
                SELECT 1 FROM orbit_deadletterdispatch d WHERE d.cycle_id = c.id AND d.status = 'open'
            )) THEN 'it has an open dead letter'
            WHEN bool_or(EXISTS (
                SELECT 1
                FROM unnest(
                    %(profiles)s::text[], %(namespaces)s::text[], %(froms)s::timestamptz[],
                    %(tos)s::timestamptz[]
                ) AS x(profile_id, namespace, since, until)
                WHERE c.profile_id = x.profile_id
                  AND (x.namespace IS NULL OR c.namespace = x.namespace)
                  AND c.created_at >= x.since AND c.created_at < x.until
            )) THEN 'a pending proposal refers to it'
        END AS kept
    FROM family f
    JOIN orbit_cyclerun c ON c.id = f.id
    GROUP BY f.root
    -- A batch before this one has judged the others.
    HAVING bool_or(
        (c.finished_at, c.id) <= (%(after_at)s::timestamptz, %(after_id)s::uuid)
    ) IS NOT TRUE
)

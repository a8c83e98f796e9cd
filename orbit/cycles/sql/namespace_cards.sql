-- What runs in some namespaces: the active cycle, the last one that ended, the queue, run profiles.
-- params: names text[], most int
SELECT
    given.name, active.id, active.status, ended.id, ended.status, ended.finished_at,
    (
        SELECT count(*)
        FROM (
            SELECT 1
            FROM orbit_cyclerun c
            WHERE c.namespace = given.name AND c.status = 'queued'
            LIMIT %(most)s
        ) AS queued
    ),
    (
        SELECT count(*)
        FROM orbit_runprofile r
        WHERE r.namespace = given.name AND r.state = 'enabled' AND NOT r.hidden
    )
FROM unnest(%(names)s::text[]) AS given(name)
LEFT JOIN orbit_cyclerun active
    ON active.namespace = given.name
    AND active.status IN ('pending', 'running')   -- the condition of the unique index
LEFT JOIN LATERAL (
    SELECT c.id, c.status, c.finished_at
    FROM (
        SELECT n.id, n.status, n.finished_at
        FROM orbit_cyclerun n
        WHERE n.namespace = given.name
        ORDER BY n.id DESC
        LIMIT %(most)s   -- behind a long queue
    ) AS c
    WHERE c.finished_at IS NOT NULL
    LIMIT 1
) AS ended ON true

-- Under a stop of a namespace, or of all (null): when the last delivery started, how many are in
-- flight, and whether a worker still holds a cycle.
-- params: namespace text
WITH cycles AS MATERIALIZED (   -- the newest, and those that a worker holds
    (
        SELECT c.id
        FROM orbit_cyclerun c
        WHERE %(namespace)s::text IS NULL OR c.namespace = %(namespace)s
        ORDER BY c.id DESC
        LIMIT 50
    )
    UNION
    (
        SELECT c.id
        FROM orbit_cyclerun c
        WHERE c.lease_owner IS NOT NULL
          AND (%(namespace)s::text IS NULL OR c.namespace = %(namespace)s)
        LIMIT 200
    )
)
SELECT
    -- of an unsent attempt nothing has left the process
    CASE
        WHEN %(namespace)s::text IS NULL   -- one step in the index, however large the cycles are
        THEN (
            SELECT r.started_at
            FROM orbit_deliveryreceipt r
            WHERE r.status || '' <> 'unsent'
            ORDER BY r.id DESC
            LIMIT 1
        )
        ELSE (
            SELECT max(r.started_at)
            FROM cycles
            JOIN orbit_dispatchjob j ON j.cycle_id = cycles.id
            JOIN orbit_deliveryreceipt r ON r.job_id = j.id
            WHERE r.status <> 'unsent'
        )
    END,
    (
        SELECT count(*)
        FROM orbit_deliveryreceipt r
        JOIN orbit_dispatchjob j ON j.id = r.job_id
        JOIN orbit_cyclerun c ON c.id = j.cycle_id
        WHERE r.status = 'sending'
          AND (%(namespace)s::text IS NULL OR c.namespace = %(namespace)s)
    )

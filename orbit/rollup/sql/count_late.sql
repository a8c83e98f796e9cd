-- Count attempts that were delivered after the mark had passed them. A CTE `receipts` before it
-- returns their id, job_id and started_at.
passed AS MATERIALIZED (   -- waits for a refresh that moves it
    SELECT after FROM orbit_rollupmark WHERE kind = 'receipts' FOR SHARE
),
late_hours AS (
    INSERT INTO orbit_deliveryhour AS h (namespace, hour, delivered, dead)
    SELECT namespace, hour, count(*), 0
    FROM (
        SELECT
            (   -- row by row, as in advance.sql
                SELECT c.namespace
                FROM orbit_dispatchjob j
                JOIN orbit_cyclerun c ON c.id = j.cycle_id
                WHERE j.id = r.job_id
            ) AS namespace,
            date_trunc('hour', r.started_at) AS hour
        FROM receipts r
        WHERE r.id <= (SELECT after FROM passed)
    ) AS late
    GROUP BY namespace, hour
    ORDER BY hour, namespace   -- one order for all writers, against deadlocks
    ON CONFLICT (hour, namespace) DO UPDATE SET delivered = h.delivered + excluded.delivered
)

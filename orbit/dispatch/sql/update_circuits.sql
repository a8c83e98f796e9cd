-- Count failures in a row per endpoint; open or close its circuit, and record that.
-- params: circuits json
limits AS MATERIALIZED (   -- the rows as they are once they are locked
    SELECT
        e.id, e.endpoint_key, e.host, e.failures, e.failed_job, e.opened_at, x.cycle_id, x.up,
        x.failed, x.job_id, x.error, x.hold, x.record_id, x.namespace,
        e.several OR x.several OR e.failed_job <> x.job_id AS several
    FROM (   -- several cycles share a statement only with successes, of which one says all
        SELECT DISTINCT ON (x.state_id) x.*, locked.namespace
        FROM json_to_recordset(%(circuits)s::json) AS x(
            state_id uuid, cycle_id uuid, up boolean, failed int, job_id uuid, several boolean,
            error text, hold float8, record_id uuid)
        JOIN locked ON locked.id = x.cycle_id
        ORDER BY x.state_id
    ) AS x
    JOIN orbit_endpointstate e ON e.id = x.state_id
    WHERE x.hold IS NOT NULL
       OR NOT x.up
       OR e.failures > 0
       OR e.opened_at IS NOT NULL   -- else a success changes nothing, and needs no lock
    ORDER BY e.id                   -- one order for all, against deadlocks
    FOR NO KEY UPDATE OF e
),
resolved AS (
    SELECT
        g.*,
        g.up AND g.opened_at IS NOT NULL AS closes,
        NOT g.up
            AND g.opened_at IS NULL
            AND g.failures + g.failed >= {{failures_to_open}}
            AND coalesce(g.several, false) AS opens   -- one poison job alone opens no circuit
    FROM limits g
),
circuits AS (
    UPDATE orbit_endpointstate e
    SET failures = CASE WHEN g.up THEN 0 ELSE g.failures + g.failed END,
        last_error = CASE WHEN g.failed > 0 THEN g.error ELSE e.last_error END,
        -- the first one: a failure of another job then shows that it is several
        failed_job = CASE WHEN NOT g.up THEN coalesce(g.failed_job, g.job_id) END,
        several = NOT g.up AND coalesce(g.several, false),
        opened_at = CASE
            WHEN g.opens THEN clock_timestamp()
            WHEN NOT g.up THEN e.opened_at
        END,
        probe_at = CASE
            WHEN g.opens THEN clock_timestamp() + {{first_probe_seconds}} * interval '1 second'
            WHEN NOT g.up THEN e.probe_at
        END,
        probe_wait = CASE
            WHEN g.opens THEN {{first_probe_seconds}}
            WHEN NOT g.up THEN e.probe_wait
        END,
        next_turn_at = CASE WHEN g.closes THEN NULL ELSE e.next_turn_at END,   -- all may go again
        hold_until = greatest(e.hold_until, clock_timestamp() + g.hold * interval '1 second')
    FROM resolved g
    WHERE e.id = g.id
),
circuit_records AS (
    INSERT INTO orbit_recordgroup (
        id, partition_key, cycle_id, stage, event, level, namespace, message, data)
    SELECT
        g.record_id, g.cycle_id, g.cycle_id, 'dispatch',
        CASE WHEN g.opens THEN 'circuit_opened' ELSE 'circuit_closed' END,
        CASE WHEN g.opens THEN 'error' ELSE 'info' END,
        g.namespace,
        g.endpoint_key || CASE
            WHEN g.opens THEN ' is down: ' || g.failures + g.failed
                || ' attempts in a row failed, the last one with: ' || g.error
            ELSE ' answers again'
        END,
        jsonb_build_object(
            'endpoint_key', g.endpoint_key, 'host', g.host, 'opened_at', g.opened_at)
    FROM resolved g
    WHERE g.opens OR g.closes
)

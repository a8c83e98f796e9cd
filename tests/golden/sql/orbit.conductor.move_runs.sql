WITH decided AS MATERIALIZED (SELECT r.id, CASE WHEN r.open_roots = 0
AND NOT EXISTS (SELECT
FROM orbit_conductortally w
WHERE w.run_id = r.id
AND w.parent_id IS NULL) THEN CASE WHEN r.failed_roots > 0 THEN 'FAILED' WHEN r.cancelled_roots > 0 THEN 'CANCELLED' ELSE 'SUCCEEDED' END WHEN r.state = 'PENDING'
AND r.running + r.retrying + r.succeeded + r.failed + r.cancelled <> 0 THEN 'RUNNING' END AS state
FROM orbit_conductorrun r
WHERE r.id = ANY(%(runs)s::text[])
AND (r.state IN ('PENDING', 'RUNNING')
OR r.state = 'FAILED'
AND r.failed_roots = 0)), moved AS (UPDATE orbit_conductorrun r
SET state = d.state, started_at = coalesce(r.started_at, statement_timestamp()), finished_at = CASE WHEN d.state <> 'RUNNING' THEN statement_timestamp() END
FROM decided d
WHERE r.id = d.id
AND d.state IS NOT NULL
AND d.state <> r.state
RETURNING r.finished_at)
SELECT count(finished_at)::int
FROM moved

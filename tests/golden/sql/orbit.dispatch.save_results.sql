WITH locked AS MATERIALIZED (SELECT c.id, c.fencing_token AS token, c.namespace, c.requeues, c.status
FROM orbit_cyclerun c
JOIN unnest(%(ids)s::uuid[], %(tokens)s::bigint[]) AS lease(id, token) ON lease.id = c.id
AND lease.token = c.fencing_token
ORDER BY c.id
FOR NO KEY
UPDATE OF c), closed AS (SELECT x.*, locked.namespace
FROM json_to_recordset(%(attempts)s::json) AS x(receipt_id uuid, job_id uuid, cycle_id uuid, letter_id uuid, status text, job_status text, status_code int, error_class text, error text, latency_ms float8, excerpt text, wait float8, spent int, reason text, endpoint_key text, attempt int, confirms boolean)
JOIN locked ON locked.id = x.cycle_id), receipts AS (UPDATE orbit_deliveryreceipt r
SET status = closed.status, finished_at = clock_timestamp(), status_code = closed.status_code, error_class = closed.error_class, error = closed.error, latency_ms = closed.latency_ms, response_excerpt = closed.excerpt
FROM closed
WHERE r.id = closed.receipt_id
AND r.status || '' IN ('sending')), confirmed AS (UPDATE orbit_deliveryreceipt r
SET status = 'delivered', error = closed.error
FROM closed
WHERE closed.confirms
AND r.status || '' = 'unknown'
AND r.id = (SELECT u.id
FROM orbit_dispatchjob k
JOIN orbit_dispatchjob o ON o.delivery_id = k.delivery_id
JOIN orbit_deliveryreceipt u ON u.job_id = o.id
WHERE k.id = closed.job_id
AND u.status || '' = 'unknown'
ORDER BY u.started_at DESC
LIMIT 1)), jobs AS (UPDATE orbit_dispatchjob j
SET status = closed.job_status, spent = j.spent + closed.spent, last_error = closed.error, next_attempt_at = CASE WHEN closed.job_status = 'pending' THEN clock_timestamp() + closed.wait * interval '1 second' END, finished_at = CASE WHEN closed.job_status <> 'pending' THEN clock_timestamp() END
FROM closed
WHERE j.id = closed.job_id
AND j.status || '' = CASE WHEN closed.receipt_id IS NULL THEN 'pending' ELSE 'sending' END
RETURNING j.id, j.cycle_id, j.status), letters AS (INSERT INTO orbit_deadletterdispatch (id, job_id, cycle_id, namespace, endpoint_key, status, reason, last_error, status_code, attempts, first_failed_at, last_failed_at)
SELECT closed.letter_id, jobs.id, jobs.cycle_id, closed.namespace, closed.endpoint_key, 'open', closed.reason, closed.error, closed.status_code, closed.attempt, coalesce((SELECT min(r.finished_at)
FROM orbit_deliveryreceipt r
WHERE r.job_id = jobs.id
AND r.status IN ('failed', 'unknown')), clock_timestamp()), clock_timestamp()
FROM jobs
JOIN closed ON closed.job_id = jobs.id
WHERE jobs.status = 'dead'), limits AS MATERIALIZED (SELECT e.id, e.endpoint_key, e.host, e.failures, e.failed_job, e.opened_at, x.cycle_id, x.up, x.failed, x.job_id, x.error, x.hold, x.record_id, x.namespace, e.several
OR x.several
OR e.failed_job <> x.job_id AS several
FROM (SELECT DISTINCT ON (x.state_id) x.*, locked.namespace
FROM json_to_recordset(%(circuits)s::json) AS x(state_id uuid, cycle_id uuid, up boolean, failed int, job_id uuid, several boolean, error text, hold float8, record_id uuid)
JOIN locked ON locked.id = x.cycle_id
ORDER BY x.state_id) AS x
JOIN orbit_endpointstate e ON e.id = x.state_id
WHERE x.hold IS NOT NULL
OR NOT x.up
OR e.failures > 0
OR e.opened_at IS NOT NULL
ORDER BY e.id
FOR NO KEY
UPDATE OF e), resolved AS (SELECT g.*, g.up
AND g.opened_at IS NOT NULL AS closes, NOT g.up
AND g.opened_at IS NULL
AND g.failures + g.failed >= 10
AND coalesce(g.several, false) AS opens
FROM limits g), circuits AS (UPDATE orbit_endpointstate e
SET failures = CASE WHEN g.up THEN 0 ELSE g.failures + g.failed END, last_error = CASE WHEN g.failed > 0 THEN g.error ELSE e.last_error END, failed_job = CASE WHEN NOT g.up THEN coalesce(g.failed_job, g.job_id) END, several = NOT g.up
AND coalesce(g.several, false), opened_at = CASE WHEN g.opens THEN clock_timestamp() WHEN NOT g.up THEN e.opened_at END, probe_at = CASE WHEN g.opens THEN clock_timestamp() + 30.0 * interval '1 second' WHEN NOT g.up THEN e.probe_at END, probe_wait = CASE WHEN g.opens THEN 30.0 WHEN NOT g.up THEN e.probe_wait END, next_turn_at = CASE WHEN g.closes THEN NULL ELSE e.next_turn_at END, hold_until = greatest(e.hold_until, clock_timestamp() + g.hold * interval '1 second')
FROM resolved g
WHERE e.id = g.id), circuit_records AS (INSERT INTO orbit_recordgroup (id, partition_key, cycle_id, stage, event, level, namespace, message, data)
SELECT g.record_id, g.cycle_id, g.cycle_id, 'dispatch', CASE WHEN g.opens THEN 'circuit_opened' ELSE 'circuit_closed' END, CASE WHEN g.opens THEN 'error' ELSE 'info' END, g.namespace, g.endpoint_key || CASE WHEN g.opens THEN ' is down: ' || g.failures + g.failed || ' attempts in a row failed, the last one with: ' || g.error ELSE ' answers again' END, jsonb_build_object('endpoint_key', g.endpoint_key, 'host', g.host, 'opened_at', g.opened_at)
FROM resolved g
WHERE g.opens
OR g.closes), records AS (INSERT INTO orbit_recordgroup (id, partition_key, cycle_id, level, namespace, stage, event, message, data, records)
SELECT x.id, x.cycle_id, x.cycle_id, x.level, x.namespace, x.stage, x.event, x.message, x.data, x.records
FROM jsonb_to_recordset(%(records)s::jsonb) AS x(id uuid, cycle_id uuid, level text, namespace text, stage text, event text, message text, data jsonb, records jsonb)
JOIN locked ON locked.id = x.cycle_id), events AS (INSERT INTO telemetry_telemetryevent (id, occurred_at, name, namespace, profile_id, run_id, stage, level, duration_ms, metadata)
SELECT x.id, clock_timestamp(), x.name, x.namespace, x.profile_id, x.run_id, x.stage, x.level, x.duration_ms, x.metadata
FROM jsonb_to_recordset(%(events)s::jsonb) AS x(id uuid, name text, namespace text, profile_id text, run_id uuid, stage text, level text, duration_ms float8, metadata jsonb)
JOIN locked ON locked.id = x.run_id)
SELECT id
FROM locked

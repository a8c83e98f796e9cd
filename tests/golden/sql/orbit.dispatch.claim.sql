WITH locked AS MATERIALIZED (SELECT c.id, c.fencing_token AS token, c.namespace, c.requeues, c.status
FROM orbit_cyclerun c
JOIN unnest(%(ids)s::uuid[], %(tokens)s::bigint[]) AS lease(id, token) ON lease.id = c.id
AND lease.token = c.fencing_token
ORDER BY c.id
FOR NO KEY
UPDATE OF c), due AS MATERIALIZED (SELECT j.id
FROM orbit_dispatchjob j
JOIN locked ON locked.id = j.cycle_id
JOIN orbit_endpointsnapshot s ON s.id = j.snapshot_id
LEFT
JOIN orbit_endpointstate e ON e.id = s.state_id
WHERE j.status = 'pending'
AND j.next_attempt_at <= clock_timestamp()
AND NOT EXISTS (SELECT 1
FROM governance_governancesetting s
JOIN governance_namespace n ON n.id = s.namespace_id
WHERE n.name = locked.namespace
AND s.halt
AND (s.until IS NULL
OR s.until > now()))
AND NOT EXISTS (SELECT 1
FROM governance_stop p
WHERE p.namespace_id IS NULL
AND p.kind = 'pause'
AND p.ended_at IS NULL
AND (p.until IS NULL
OR p.until > now()))
AND (e.id IS NULL
OR NOT (e.max_concurrency IS NOT NULL
OR e.rate_per_second IS NOT NULL
OR e.opened_at IS NOT NULL
OR e.hold_until IS NOT NULL
AND e.hold_until > clock_timestamp())
AND e.id <> ALL(%(full)s::uuid[]))
ORDER BY j.next_attempt_at, j.id
LIMIT %(limit)s
FOR NO KEY
UPDATE OF j), numbered AS (SELECT id, row_number() OVER () AS place
FROM due), moved AS (UPDATE orbit_dispatchjob j
SET status = 'sending', attempts = j.attempts + 1, next_attempt_at = NULL
FROM numbered
WHERE j.id = numbered.id
AND j.status IN ('pending')
RETURNING j.id, (%(receipts)s::uuid[])[numbered.place] AS receipt_id, j.attempts, j.spent, j.max_retries, j.delivery_id, j.endpoint_key, j.snapshot_id, j.normalization_item_id, j.cycle_id, j.requeue_of_id), written AS (INSERT INTO orbit_deliveryreceipt (id, job_id, attempt, status, worker, fencing_token, started_at, body_sha256)
SELECT m.receipt_id, m.id, m.attempts, 'sending', %(worker)s, locked.token, clock_timestamp(), i.sha256
FROM moved m
JOIN locked ON locked.id = m.cycle_id
JOIN orbit_normalizationitem i ON i.id = m.normalization_item_id)
SELECT locked.id, m.receipt_id, m.id, m.attempts, m.spent, m.max_retries, m.delivery_id, m.endpoint_key, m.snapshot_id, i.payload, i.content_type, s.state_id, CASE WHEN m.requeue_of_id IS NOT NULL THEN coalesce((SELECT true
FROM orbit_dispatchjob o
JOIN orbit_deliveryreceipt r ON r.job_id = o.id
WHERE o.delivery_id = m.delivery_id
AND r.status = 'unknown'
LIMIT 1), false) ELSE m.attempts > 1
AND EXISTS (SELECT 1
FROM orbit_deliveryreceipt r
WHERE r.job_id = m.id
AND r.status = 'unknown') END, rest.endpoint, rest.wait, rest.shared
FROM locked
LEFT
JOIN moved m ON m.cycle_id = locked.id
LEFT
JOIN orbit_normalizationitem i ON i.id = m.normalization_item_id
LEFT
JOIN orbit_endpointsnapshot s ON s.id = m.snapshot_id
LEFT
JOIN LATERAL (SELECT (array_agg(x.id
ORDER BY x.free_at) FILTER (WHERE x.limited))[1] AS endpoint, CASE WHEN bool_and(x.closed) FILTER (WHERE x.limited) THEN extract(epoch
FROM min(x.free_at) FILTER (WHERE x.limited) - clock_timestamp())::float8 END AS wait, coalesce(bool_or(NOT x.limited
AND x.id = ANY(%(full)s::uuid[])), false) AS shared
FROM (SELECT e.id, (e.max_concurrency IS NOT NULL
OR e.rate_per_second IS NOT NULL
OR e.opened_at IS NOT NULL
OR e.hold_until IS NOT NULL
AND e.hold_until > clock_timestamp()) AS limited, coalesce(e.probe_at, e.hold_until) AS free_at, coalesce(CASE WHEN e.opened_at IS NULL THEN e.hold_until > clock_timestamp() ELSE e.probe_at > clock_timestamp()
AND e.opened_at > clock_timestamp() - 86400.0 * interval '1 second' END, false) AS closed
FROM orbit_dispatchjob j
JOIN locked ON locked.id = j.cycle_id
JOIN orbit_endpointsnapshot s ON s.id = j.snapshot_id
LEFT
JOIN orbit_endpointstate e ON e.id = s.state_id
WHERE j.status = 'pending'
AND j.next_attempt_at <= clock_timestamp()
AND NOT EXISTS (SELECT 1
FROM governance_governancesetting s
JOIN governance_namespace n ON n.id = s.namespace_id
WHERE n.name = locked.namespace
AND s.halt
AND (s.until IS NULL
OR s.until > now()))
AND NOT EXISTS (SELECT 1
FROM governance_stop p
WHERE p.namespace_id IS NULL
AND p.kind = 'pause'
AND p.ended_at IS NULL
AND (p.until IS NULL
OR p.until > now()))) AS x) AS rest ON (SELECT count(*)
FROM moved) < %(limit)s

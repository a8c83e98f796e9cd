WITH locked AS MATERIALIZED (SELECT c.id, c.fencing_token AS token, c.namespace, c.requeues, c.status
FROM orbit_cyclerun c
JOIN unnest(%(ids)s::uuid[], %(tokens)s::bigint[]) AS lease(id, token) ON lease.id = c.id
AND lease.token = c.fencing_token
ORDER BY c.id
FOR NO KEY
UPDATE OF c), ranked AS MATERIALIZED (SELECT j.id, x.most, row_number() OVER (PARTITION BY s.state_id
ORDER BY j.next_attempt_at, j.id) AS rank
FROM orbit_dispatchjob j
JOIN locked ON locked.id = j.cycle_id
JOIN orbit_endpointsnapshot s ON s.id = j.snapshot_id
JOIN json_to_recordset(%(allowed)s::json) AS x(state_id uuid, most int) ON x.state_id = s.state_id
WHERE j.status = 'pending'
AND j.next_attempt_at <= clock_timestamp()), due AS MATERIALIZED (SELECT j.id
FROM orbit_dispatchjob j
JOIN ranked r ON r.id = j.id
WHERE r.rank <= r.most
AND j.status = 'pending'
FOR NO KEY
UPDATE OF j), new_limits AS (UPDATE orbit_endpointstate e
SET opened_at = x.opened_at, probe_at = x.probe_at, probe_wait = x.probe_wait, next_slot_at = x.next_slot_at, next_turn_at = x.next_turn_at
FROM json_to_recordset(%(limits)s::json) AS x(id uuid, opened_at timestamptz, probe_at timestamptz, probe_wait float8, next_slot_at timestamptz, next_turn_at timestamptz)
WHERE e.id = x.id), numbered AS (SELECT id, row_number() OVER () AS place
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
AND r.status = 'unknown') END
FROM locked
LEFT
JOIN moved m ON m.cycle_id = locked.id
LEFT
JOIN orbit_normalizationitem i ON i.id = m.normalization_item_id
LEFT
JOIN orbit_endpointsnapshot s ON s.id = m.snapshot_id

WITH first AS (INSERT INTO orbit_rollupmark (kind, at, after)
SELECT x.kind, x.at, orbit_uuid_floor(x.at)
FROM (VALUES ('receipts', now() - interval '24 hours'), ('letters', now() - interval '24 hours'), ('cycles', now() - interval '14 days')) AS x(kind, at)
WHERE NOT EXISTS (SELECT
FROM orbit_rollupmark m
WHERE m.kind = x.kind)
ON CONFLICT (kind) DO NOTHING), receipt_mark AS MATERIALIZED (SELECT after
FROM orbit_rollupmark
WHERE kind = 'receipts'
AND kind = ANY(%(locked)s::text[])), letter_mark AS MATERIALIZED (SELECT after
FROM orbit_rollupmark
WHERE kind = 'letters'
AND kind = ANY(%(locked)s::text[])), cycle_mark AS MATERIALIZED (SELECT at, after
FROM orbit_rollupmark
WHERE kind = 'cycles'
AND kind = ANY(%(locked)s::text[])), receipts AS MATERIALIZED (SELECT r.id, r.job_id, r.started_at, r.status
FROM orbit_deliveryreceipt r
WHERE r.id > (SELECT after
FROM receipt_mark)
AND r.id < orbit_uuid_floor(greatest(clock_timestamp() - interval '900 s', least(%(written)s::timestamptz, (SELECT min(started_at)
FROM orbit_deliveryreceipt
WHERE status = 'sending')) - interval '10 s'))
ORDER BY r.id
LIMIT 20000), letters AS MATERIALIZED (SELECT l.id, l.namespace, l.created_at
FROM orbit_deadletterdispatch l
WHERE l.id > (SELECT after
FROM letter_mark)
AND l.id < orbit_uuid_floor(greatest(clock_timestamp() - interval '900 s', %(written)s::timestamptz - interval '10 s'))
ORDER BY l.id
LIMIT 20000), cycles AS MATERIALIZED (SELECT c.id, c.namespace, c.finished_at, c.status
FROM orbit_cyclerun c
WHERE (c.finished_at, c.id) > (SELECT at, after
FROM cycle_mark)
AND c.finished_at < greatest(clock_timestamp() - interval '900 s', %(written)s::timestamptz - interval '30 s')
ORDER BY c.finished_at, c.id
LIMIT 20000), hours AS (INSERT INTO orbit_deliveryhour AS h (namespace, hour, delivered, dead)
SELECT namespace, hour, sum(delivered), sum(dead)
FROM (SELECT (SELECT c.namespace
FROM orbit_dispatchjob j
JOIN orbit_cyclerun c ON c.id = j.cycle_id
WHERE j.id = r.job_id) AS namespace, date_trunc('hour', r.started_at) AS hour, 1 AS delivered, 0 AS dead
FROM receipts r
WHERE r.status = 'delivered'
UNION ALL
SELECT namespace, date_trunc('hour', created_at), 0, 1
FROM letters) AS ended
GROUP BY namespace, hour
ORDER BY hour, namespace
ON CONFLICT (hour, namespace) DO
UPDATE
SET delivered = h.delivered + excluded.delivered, dead = h.dead + excluded.dead), days AS (INSERT INTO orbit_cycleday AS d (namespace, day, success, partial_success, failed, cancelled)
SELECT namespace, (finished_at AT TIME ZONE 'UTC')::date AS day, count(*) FILTER (WHERE status = 'success'), count(*) FILTER (WHERE status = 'partial_success'), count(*) FILTER (WHERE status = 'failed'), count(*) FILTER (WHERE status = 'cancelled')
FROM cycles
GROUP BY namespace, day
ORDER BY day, namespace
ON CONFLICT (day, namespace) DO
UPDATE
SET success = d.success + excluded.success, partial_success = d.partial_success + excluded.partial_success, failed = d.failed + excluded.failed, cancelled = d.cancelled + excluded.cancelled), last AS ((SELECT 'receipts' AS kind, started_at AS at, id
FROM receipts
ORDER BY id DESC
LIMIT 1)
UNION ALL (SELECT 'letters', created_at, id
FROM letters
ORDER BY id DESC
LIMIT 1)
UNION ALL (SELECT 'cycles', finished_at, id
FROM cycles
ORDER BY finished_at DESC, id DESC
LIMIT 1)), moved AS (UPDATE orbit_rollupmark m
SET at = last.at, after = last.id
FROM last
WHERE m.kind = last.kind)
SELECT (SELECT count(*)
FROM receipts), (SELECT count(*)
FROM letters), (SELECT count(*)
FROM cycles)

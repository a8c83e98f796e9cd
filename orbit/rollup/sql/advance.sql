-- Add what has ended since the last refresh to the hours and days, and move the marks.
-- Of two refreshes at once, one has locked no mark and counts nothing.
-- params: written timestamptz, locked text[]
WITH first AS (   -- the marks of a new database; used from the next refresh on
    INSERT INTO orbit_rollupmark (kind, at, after)
    SELECT x.kind, x.at, orbit_uuid_floor(x.at)
    FROM (VALUES
        ('receipts', now() - interval '{{first_hours}} hours'),
        ('letters', now() - interval '{{first_hours}} hours'),
        ('cycles', now() - interval '{{first_days}} days')
    ) AS x(kind, at)
    WHERE NOT EXISTS (SELECT FROM orbit_rollupmark m WHERE m.kind = x.kind)
    ON CONFLICT (kind) DO NOTHING
),
receipt_mark AS MATERIALIZED (
    SELECT after FROM orbit_rollupmark WHERE kind = 'receipts' AND kind = ANY(%(locked)s::text[])
),
letter_mark AS MATERIALIZED (
    SELECT after FROM orbit_rollupmark WHERE kind = 'letters' AND kind = ANY(%(locked)s::text[])
),
cycle_mark AS MATERIALIZED (
    SELECT at, after FROM orbit_rollupmark WHERE kind = 'cycles' AND kind = ANY(%(locked)s::text[])
),
receipts AS MATERIALIZED (
    SELECT r.id, r.job_id, r.started_at, r.status
    FROM orbit_deliveryreceipt r
    WHERE r.id > (SELECT after FROM receipt_mark)
      -- not beyond one that is in flight: it may still be delivered
      AND r.id < orbit_uuid_floor(greatest(
          clock_timestamp() - interval '{{longest_attempt}} s',
          -- its id is a bit older than its start
          least(
              %(written)s::timestamptz,
              (SELECT min(started_at) FROM orbit_deliveryreceipt WHERE status = 'sending')
          ) - interval '{{delivery_lag}} s'
      ))
    ORDER BY r.id
    LIMIT {{most}}
),
letters AS MATERIALIZED (
    SELECT l.id, l.namespace, l.created_at
    FROM orbit_deadletterdispatch l
    WHERE l.id > (SELECT after FROM letter_mark)
      AND l.id < orbit_uuid_floor(greatest(
          clock_timestamp() - interval '{{longest_attempt}} s',
          %(written)s::timestamptz - interval '{{delivery_lag}} s'
      ))
    ORDER BY l.id
    LIMIT {{most}}
),
cycles AS MATERIALIZED (
    SELECT c.id, c.namespace, c.finished_at, c.status
    FROM orbit_cyclerun c
    WHERE (c.finished_at, c.id) > (SELECT at, after FROM cycle_mark)
      AND c.finished_at < greatest(
          clock_timestamp() - interval '{{longest_attempt}} s',
          %(written)s::timestamptz - interval '{{cycle_lag}} s'
      )
    ORDER BY c.finished_at, c.id
    LIMIT {{most}}
),
hours AS (
    INSERT INTO orbit_deliveryhour AS h (namespace, hour, delivered, dead)
    SELECT namespace, hour, sum(delivered), sum(dead)
    FROM (
        SELECT
            (   -- row by row: for a join the planner might read the whole tables
                SELECT c.namespace
                FROM orbit_dispatchjob j
                JOIN orbit_cyclerun c ON c.id = j.cycle_id
                WHERE j.id = r.job_id
            ) AS namespace,
            date_trunc('hour', r.started_at) AS hour, 1 AS delivered, 0 AS dead
        FROM receipts r
        WHERE r.status = 'delivered'
        UNION ALL
        SELECT namespace, date_trunc('hour', created_at), 0, 1 FROM letters
    ) AS ended
    GROUP BY namespace, hour
    ORDER BY hour, namespace   -- one order for all writers, against deadlocks
    ON CONFLICT (hour, namespace) DO UPDATE
    SET delivered = h.delivered + excluded.delivered, dead = h.dead + excluded.dead
),
days AS (
    INSERT INTO orbit_cycleday AS d (namespace, day, success, partial_success, failed, cancelled)
    SELECT
        namespace,
        (finished_at AT TIME ZONE 'UTC')::date AS day,
        count(*) FILTER (WHERE status = 'success'),
        count(*) FILTER (WHERE status = 'partial_success'),
        count(*) FILTER (WHERE status = 'failed'),
        count(*) FILTER (WHERE status = 'cancelled')
    FROM cycles
    GROUP BY namespace, day
    ORDER BY day, namespace
    ON CONFLICT (day, namespace) DO UPDATE
    SET success = d.success + excluded.success,
        partial_success = d.partial_success + excluded.partial_success,
        failed = d.failed + excluded.failed,
        cancelled = d.cancelled + excluded.cancelled
),
last AS (
    (SELECT 'receipts' AS kind, started_at AS at, id FROM receipts ORDER BY id DESC LIMIT 1)
    UNION ALL
    (SELECT 'letters', created_at, id FROM letters ORDER BY id DESC LIMIT 1)
    UNION ALL
    (SELECT 'cycles', finished_at, id FROM cycles ORDER BY finished_at DESC, id DESC LIMIT 1)
),
moved AS (
    UPDATE orbit_rollupmark m SET at = last.at, after = last.id FROM last WHERE m.kind = last.kind
)
SELECT
    (SELECT count(*) FROM receipts), (SELECT count(*) FROM letters), (SELECT count(*) FROM cycles)

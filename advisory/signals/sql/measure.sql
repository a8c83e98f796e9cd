-- What telemetry tells of each profile in each namespace, in the window and in the baseline before
-- it: up to one row for each part (cycles, latencies, deliveries, future). An event that names no
-- profile or no namespace counts for the empty one.
-- params: baseline_from timestamptz, window_from timestamptz, window_to timestamptz
-- params: now timestamptz, profile text, namespaces text[]
WITH finished AS MATERIALIZED (   -- read twice below, but the events are read once
    SELECT
        coalesce(profile_id, '') COLLATE "C" AS profile_id,   -- sorted: bytes, not a language
        coalesce(namespace, '') COLLATE "C" AS namespace,
        occurred_at >= %(window_from)s AS in_window,
        metadata ->> 'status' AS status,
        duration_ms
    FROM telemetry_telemetryevent
    WHERE name = 'execution_finished'
      AND occurred_at >= %(baseline_from)s
      AND occurred_at < %(window_to)s
      AND (%(namespaces)s::text[] IS NULL OR namespace = ANY(%(namespaces)s))
),
counted AS (
    SELECT
        profile_id,
        namespace,
        count(*) FILTER (WHERE in_window AND status = 'success') AS succeeded,
        count(*) FILTER (WHERE in_window AND status = 'partial_success') AS partial,
        count(*) FILTER (WHERE in_window AND status = 'failed') AS failed,
        count(*) FILTER (WHERE in_window AND status = 'cancelled') AS cancelled,
        count(*) FILTER (WHERE NOT in_window AND status = 'success') AS succeeded_before,
        count(*) FILTER (WHERE NOT in_window AND status = 'partial_success') AS partial_before,
        count(*) FILTER (WHERE NOT in_window AND status = 'failed') AS failed_before,
        count(*) FILTER (WHERE NOT in_window AND status = 'cancelled') AS cancelled_before,
        count(*) FILTER (
            WHERE status IS NULL
               OR status NOT IN ('success', 'partial_success', 'failed', 'cancelled')
        ) AS without_status,
        count(*) FILTER (WHERE status = 'success' AND duration_ms IS NULL) AS without_duration,
        -- NaN is greater than any number, infinity included.
        count(*) FILTER (
            WHERE status = 'success' AND NOT (duration_ms >= 0 AND duration_ms < 'Infinity')
        ) AS invalid_duration,
        count(*) FILTER (
            WHERE in_window AND status = 'success'
              AND duration_ms >= 0 AND duration_ms < 'Infinity'
        ) AS timed,
        count(*) FILTER (
            WHERE NOT in_window AND status = 'success'
              AND duration_ms >= 0 AND duration_ms < 'Infinity'
        ) AS timed_before
    FROM finished
    GROUP BY profile_id, namespace
),
compared AS (   -- with the other profiles of the namespace, also if only one profile is wanted
    SELECT
        *,
        sum(succeeded) OVER peers - succeeded AS others_succeeded,
        sum(succeeded + partial + failed) OVER peers - (succeeded + partial + failed)
            AS others_ended,
        count(*) FILTER (WHERE succeeded + partial + failed > 0) OVER peers
            - (succeeded + partial + failed > 0)::int AS others
    FROM counted
    WHERE profile_id <> ''
    WINDOW peers AS (PARTITION BY namespace)
),
latencies AS (   -- of successful cycles; equal ones are one row
    SELECT
        profile_id,
        namespace,
        duration_ms,
        count(*)::int AS tied,
        (count(*) FILTER (WHERE in_window))::int AS tied_now
    FROM finished
    WHERE status = 'success'
      AND duration_ms >= 0
      AND duration_ms < 'Infinity'
      AND (%(profile)s::text IS NULL OR profile_id = %(profile)s)
    GROUP BY profile_id, namespace, duration_ms
),
placed AS (
    SELECT
        *,
        sum(tied) OVER below AS up_to,
        sum(tied_now) OVER below AS up_to_now
    FROM latencies
    WINDOW below AS (
        PARTITION BY profile_id, namespace ORDER BY duration_ms
        ROWS UNBOUNDED PRECEDING)   -- each latency is one row: no peers to look for
),
ranked AS (
    SELECT
        profile_id,
        namespace,
        max(timed) AS count,
        max(timed_before) AS count_before,
        -- The smallest value that so much of the sample doesn't exceed.
        min(duration_ms) FILTER (WHERE up_to_now >= 0.5::float8 * timed AND tied_now > 0) AS p50,
        min(duration_ms) FILTER (WHERE up_to_now >= 0.95::float8 * timed AND tied_now > 0) AS p95,
        min(duration_ms) FILTER (
            WHERE up_to - up_to_now >= 0.5::float8 * timed_before AND tied > tied_now
        ) AS p50_before,
        min(duration_ms) FILTER (
            WHERE up_to - up_to_now >= 0.95::float8 * timed_before AND tied > tied_now
        ) AS p95_before,
        -- Equal values share the mean of their ranks.
        sum(tied_now * (up_to - (tied - 1) / 2::float8)) AS rank_sum,
        sum(tied::float8 * tied * tied - tied) AS ties
    FROM placed
    JOIN counted USING (profile_id, namespace)
    GROUP BY profile_id, namespace
),
deliveries AS (
    SELECT
        coalesce(profile_id, '') COLLATE "C" AS profile_id,
        coalesce(namespace, '') COLLATE "C" AS namespace,
        occurred_at >= %(window_from)s AS in_window,
        metadata ->> 'endpoint_key' AS endpoint_key,
        count(*) FILTER (WHERE name = 'delivery_confirmed') AS confirmed,
        count(*) FILTER (
            WHERE name = 'delivery_confirmed' AND metadata ->> 'attempt' = '1'
        ) AS at_once,
        count(*) FILTER (WHERE name = 'delivery_attempt') AS failed
    FROM telemetry_telemetryevent
    WHERE name IN ('delivery_confirmed', 'delivery_attempt')
      AND occurred_at >= %(baseline_from)s
      AND occurred_at < %(window_to)s
      AND (%(namespaces)s::text[] IS NULL OR namespace = ANY(%(namespaces)s))
      AND (%(profile)s::text IS NULL OR profile_id = %(profile)s)
    GROUP BY 1, 2, 3, 4
),
by_endpoint AS (
    SELECT
        profile_id,
        namespace,
        endpoint_key,
        coalesce(sum(confirmed) FILTER (WHERE in_window), 0) AS confirmed,
        coalesce(sum(at_once) FILTER (WHERE in_window), 0) AS at_once,
        coalesce(sum(failed) FILTER (WHERE in_window), 0) AS failed,
        coalesce(sum(confirmed) FILTER (WHERE NOT in_window), 0) AS confirmed_before,
        coalesce(sum(at_once) FILTER (WHERE NOT in_window), 0) AS at_once_before,
        coalesce(sum(failed) FILTER (WHERE NOT in_window), 0) AS failed_before
    FROM deliveries
    GROUP BY profile_id, namespace, endpoint_key
),
delivered AS (
    SELECT
        profile_id,
        namespace,
        sum(confirmed) AS confirmed,
        sum(at_once) AS at_once,
        sum(failed) AS failed,
        sum(confirmed_before) AS confirmed_before,
        sum(at_once_before) AS at_once_before,
        sum(failed_before) AS failed_before,
        count(*) AS endpoints,
        jsonb_agg(to_jsonb(ordered) - '{profile_id,namespace,place}'::text[] ORDER BY place)
            FILTER (WHERE place <= {{endpoints}}) AS worst
    FROM (
        SELECT
            *,
            row_number() OVER (
                PARTITION BY profile_id, namespace
                ORDER BY failed DESC, failed_before DESC, endpoint_key
            ) AS place
        FROM by_endpoint
    ) AS ordered
    GROUP BY profile_id, namespace
),
future AS (
    SELECT
        coalesce(profile_id, '') AS profile_id,
        coalesce(namespace, '') AS namespace,
        count(*) AS events
    FROM telemetry_telemetryevent
    WHERE name IN ('execution_finished', 'delivery_confirmed', 'delivery_attempt')
      AND occurred_at > %(now)s
      AND (%(namespaces)s::text[] IS NULL OR namespace = ANY(%(namespaces)s))
    GROUP BY 1, 2
)
SELECT profile_id, namespace, part, facts
FROM (   -- no joins: the caller puts the parts side by side
    SELECT profile_id, namespace, 'cycles' AS part, to_jsonb(compared) AS facts FROM compared
    UNION ALL
    SELECT profile_id, namespace, 'cycles', to_jsonb(counted) FROM counted WHERE profile_id = ''
    UNION ALL
    SELECT profile_id, namespace, 'latencies', to_jsonb(ranked) FROM ranked
    UNION ALL
    SELECT profile_id, namespace, 'deliveries', to_jsonb(delivered) FROM delivered
    UNION ALL
    SELECT profile_id, namespace, 'future', to_jsonb(future) FROM future
) AS parts
WHERE %(profile)s::text IS NULL OR profile_id = %(profile)s

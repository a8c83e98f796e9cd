WITH wanted AS (SELECT DISTINCT profile_id, namespace
FROM unnest(%(profiles)s::text[], %(namespaces)s::text[]) AS pair(profile_id, namespace)), finished AS MATERIALIZED (SELECT profile_id, namespace, run_id, occurred_at, duration_ms, metadata ->> 'status' AS status
FROM telemetry_telemetryevent
WHERE name = 'execution_finished'
AND occurred_at >= %(window_from)s
AND occurred_at < %(window_to)s
AND run_id IS NOT NULL
AND (profile_id, namespace) IN (SELECT profile_id, namespace
FROM wanted)), failed AS (SELECT *, row_number() OVER (PARTITION BY profile_id, namespace
ORDER BY occurred_at DESC, run_id DESC) AS place
FROM finished
WHERE status IN ('partial_success', 'failed')), slow AS (SELECT *, row_number() OVER (PARTITION BY profile_id, namespace
ORDER BY duration_ms DESC, run_id DESC) AS place
FROM finished
WHERE status = 'success'
AND duration_ms < 'Infinity')
SELECT profile_id, namespace, 'not_succeeded' AS kind, run_id::text, place
FROM failed
WHERE place <= 5
UNION ALL
SELECT profile_id, namespace, 'slowest', run_id::text, place
FROM slow
WHERE place <= 5
ORDER BY profile_id, namespace, kind, place

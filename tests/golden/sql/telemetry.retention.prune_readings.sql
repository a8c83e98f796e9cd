WITH old AS (SELECT d.day::timestamp AT TIME ZONE 'UTC' AS low, (d.day + 1)::timestamp AT TIME ZONE 'UTC' AS high, d.day
FROM telemetry_telemetryday d
WHERE d.dropped_at IS NOT NULL
AND d.day < (now() AT TIME ZONE 'UTC')::date - %(retention)s
AND (EXISTS (SELECT 1
FROM telemetry_errorgroup r
WHERE r.day = d.day)
OR EXISTS (SELECT 1
FROM telemetry_artifact r
WHERE r.occurred_at >= d.day::timestamp AT TIME ZONE 'UTC'
AND r.occurred_at < (d.day + 1)::timestamp AT TIME ZONE 'UTC')
OR EXISTS (SELECT 1
FROM telemetry_metric r
WHERE r.occurred_at >= d.day::timestamp AT TIME ZONE 'UTC'
AND r.occurred_at < (d.day + 1)::timestamp AT TIME ZONE 'UTC')
OR EXISTS (SELECT 1
FROM telemetry_policyviolation r
WHERE r.occurred_at >= d.day::timestamp AT TIME ZONE 'UTC'
AND r.occurred_at < (d.day + 1)::timestamp AT TIME ZONE 'UTC'))
ORDER BY d.day
LIMIT 1), artifacts AS (DELETE
FROM telemetry_artifact
WHERE id IN (SELECT r.id
FROM telemetry_artifact r
JOIN old ON r.occurred_at >= old.low
AND r.occurred_at < old.high
LIMIT %(limit)s)
RETURNING 1), metrics AS (DELETE
FROM telemetry_metric
WHERE id IN (SELECT r.id
FROM telemetry_metric r
JOIN old ON r.occurred_at >= old.low
AND r.occurred_at < old.high
LIMIT %(limit)s)
RETURNING 1), violations AS (DELETE
FROM telemetry_policyviolation
WHERE id IN (SELECT r.id
FROM telemetry_policyviolation r
JOIN old ON r.occurred_at >= old.low
AND r.occurred_at < old.high
LIMIT %(limit)s)
RETURNING 1), groups AS (DELETE
FROM telemetry_errorgroup
WHERE id IN (SELECT r.id
FROM telemetry_errorgroup r
JOIN old ON r.day = old.day
LIMIT %(limit)s)
RETURNING 1)
SELECT (SELECT count(*)
FROM artifacts) + (SELECT count(*)
FROM metrics) + (SELECT count(*)
FROM violations) + (SELECT count(*)
FROM groups)

WITH span AS (SELECT %(day)s::date::timestamp AT TIME ZONE 'UTC' AS low, (%(day)s::date + 1)::timestamp AT TIME ZONE 'UTC' AS high), artifacts AS (DELETE
FROM telemetry_artifact USING span
WHERE occurred_at >= low
AND occurred_at < high), metrics AS (DELETE
FROM telemetry_metric USING span
WHERE occurred_at >= low
AND occurred_at < high), violations AS (DELETE
FROM telemetry_policyviolation USING span
WHERE occurred_at >= low
AND occurred_at < high)
DELETE
FROM telemetry_errorgroup
WHERE day = %(day)s::date

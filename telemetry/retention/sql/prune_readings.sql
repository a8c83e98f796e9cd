-- Delete some of what was read from events of dropped days.
-- params: retention int, limit int
WITH old AS (
    SELECT
        d.day::timestamp AT TIME ZONE 'UTC' AS low,
        (d.day + 1)::timestamp AT TIME ZONE 'UTC' AS high,
        d.day
    FROM telemetry_telemetryday d
    WHERE d.dropped_at IS NOT NULL
      AND d.day < (now() AT TIME ZONE 'UTC')::date - %(retention)s
      AND (
          EXISTS (SELECT 1 FROM telemetry_errorgroup r WHERE r.day = d.day)
          OR {{has_reading(telemetry_artifact)}}
          OR {{has_reading(telemetry_metric)}}
          OR {{has_reading(telemetry_policyviolation)}}
      )
    ORDER BY d.day
    LIMIT 1
), artifacts AS (
    DELETE FROM telemetry_artifact WHERE {{chosen(telemetry_artifact)}} RETURNING 1
), metrics AS (
    DELETE FROM telemetry_metric WHERE {{chosen(telemetry_metric)}} RETURNING 1
), violations AS (
    DELETE FROM telemetry_policyviolation WHERE {{chosen(telemetry_policyviolation)}} RETURNING 1
), groups AS (
    DELETE FROM telemetry_errorgroup
    WHERE id IN (
        SELECT r.id FROM telemetry_errorgroup r JOIN old ON r.day = old.day LIMIT %(limit)s
    )
    RETURNING 1
)
SELECT
    (SELECT count(*) FROM artifacts) + (SELECT count(*) FROM metrics)
    + (SELECT count(*) FROM violations) + (SELECT count(*) FROM groups)

WITH state AS (INSERT INTO orbit_endpointstate (id, endpoint_key, host, max_concurrency, rate_per_second)
VALUES (%(state)s, %(key)s, %(host)s, %(max_concurrency)s, %(rate_per_second)s)
ON CONFLICT (endpoint_key, host) DO
UPDATE
SET max_concurrency = EXCLUDED.max_concurrency, rate_per_second = EXCLUDED.rate_per_second, next_turn_at = CASE WHEN (orbit_endpointstate.max_concurrency, orbit_endpointstate.rate_per_second) IS NOT DISTINCT
FROM (EXCLUDED.max_concurrency, EXCLUDED.rate_per_second) THEN orbit_endpointstate.next_turn_at END
RETURNING id)
INSERT INTO orbit_endpointsnapshot (id, fingerprint, endpoint_key, host, sealed, state_id)
SELECT %(id)s, %(fingerprint)s, %(key)s, %(host)s, %(sealed)s, state.id
FROM state
ON CONFLICT (fingerprint) DO
UPDATE
SET state_id = EXCLUDED.state_id
RETURNING id

SELECT s.fingerprint, e.max_concurrency, e.rate_per_second
FROM orbit_endpointsnapshot s
JOIN orbit_endpointstate e ON e.id = s.state_id
WHERE s.fingerprint = ANY(%(fingerprints)s)

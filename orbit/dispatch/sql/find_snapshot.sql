-- The snapshot of an endpoint, by its fingerprint.
-- params: fingerprint text
SELECT id FROM orbit_endpointsnapshot WHERE fingerprint = %(fingerprint)s

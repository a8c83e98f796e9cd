SELECT id
FROM orbit_endpointsnapshot
WHERE fingerprint = %(fingerprint)s

UPDATE orbit_conductortask t
SET ready = true, lease_token = NULL, lease_expires_at = NULL
WHERE t.id = %(id)s
AND t.attempt = %(attempt)s
AND t.lease_token IS NOT NULL
RETURNING t.worker

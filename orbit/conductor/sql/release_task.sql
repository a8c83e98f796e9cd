-- Take a task from its worker, held or with its lease over. It stays RUNNING and is ready at once;
-- later calls of that worker are refused.
-- params: id text, attempt int
UPDATE orbit_conductortask t SET
    ready = true, lease_token = NULL, lease_expires_at = NULL
WHERE t.id = %(id)s
    AND t.attempt = %(attempt)s     -- the one that was looked at: a claim since has made another
    AND t.lease_token IS NOT NULL
RETURNING t.worker

-- Make a task that has failed for good ready again.
-- params: id text
UPDATE orbit_conductortask t SET
    ready = true, max_attempts = greatest(t.max_attempts, t.attempt + 1), finished_at = NULL
WHERE t.id = %(id)s AND t.state = 'FAILED' AND NOT t.ready AND NOT t.is_parent
RETURNING t.id

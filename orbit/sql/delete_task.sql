-- Remove a task that was run. The commit doesn't wait for the disk: if a server's crash brings the row
-- back, the task runs once more, which does no harm.
-- params: id bigint
DELETE FROM django_q_ormq AS q
USING (SELECT set_config('synchronous_commit', 'off', true)) AS quick
WHERE q.id = %(id)s

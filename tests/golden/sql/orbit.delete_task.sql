DELETE
FROM django_q_ormq AS q USING (SELECT set_config('synchronous_commit', 'off', true)) AS quick
WHERE q.id = %(id)s

SELECT (SELECT rolsuper
FROM pg_roles
WHERE rolname = current_user)
OR EXISTS (SELECT
FROM pg_class AS c
WHERE c.relnamespace = current_schema()::regnamespace
AND c.relkind IN ('r', 'p')
AND c.relname = 'governance_audittrailentry'
AND pg_has_role(c.relowner, 'MEMBER')), pg_is_in_recovery()
OR current_setting('default_transaction_read_only') = 'on', 'off' IN (current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit')), coalesce((SELECT ssl
FROM pg_stat_ssl
WHERE pid = pg_backend_pid()), false)

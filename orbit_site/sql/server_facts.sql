-- What `check --deploy` asks the database server.
SELECT
    -- Could the role disable the protection of the audit trail? A superuser or an owner could.
    (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
    OR EXISTS (
        SELECT
        FROM pg_class AS c
        WHERE c.relnamespace = current_schema()::regnamespace
          AND c.relkind IN ('r', 'p')
          AND c.relname = 'governance_audittrailentry'
          AND pg_has_role(c.relowner, 'MEMBER')
    ),
    -- Is it a standby, or read only?
    pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on',
    -- Could a power failure take back a commit?
    'off' IN (
        current_setting('fsync'),
        current_setting('full_page_writes'),
        current_setting('synchronous_commit')
    ),
    -- Is this connection encrypted?
    coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false)

SELECT least(statement_timestamp(), min(xact_start))
FROM pg_stat_activity
WHERE datname = current_database()
AND backend_xid IS NOT NULL
AND pid <> pg_backend_pid()

-- Until when all is committed that this database will ever hold: the start of the oldest transaction
-- that has written. Asked before the statement that counts, so that its snapshot is newer.
SELECT least(statement_timestamp(), min(xact_start))
FROM pg_stat_activity
WHERE datname = current_database()
  AND backend_xid IS NOT NULL   -- a backup only reads
  AND pid <> pg_backend_pid()
